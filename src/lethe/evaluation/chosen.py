"""What the searches of a study chose, and how: read from their `chosen.json`, and in words for the notes of tables.

A table of tuned and untuned methods is fair to nobody who cannot see which is which
(docs/choices.md#strength-search-and-selection).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from lethe.config import MethodConfig
from lethe.io import read_json
from lethe.selection import RULES

Place = tuple[str, str]
"""Model and split."""


def read_chosen(paths: Iterable[str | Path]) -> dict[Place, dict[str, dict]]:
    """(model, split) -> swept method -> its `chosen.json`; paths end in `<model>/<split>/<method>/chosen.json`."""
    found: dict[Place, dict[str, dict]] = {}
    for path in map(Path, paths):
        model, split, method = path.parts[-4:-1]
        found.setdefault((model, split), {})[method] = read_json(path)
    return found


def resolved(methods: Mapping[str, dict | None], chosen: Mapping[str, dict]) -> dict[str, MethodConfig]:
    """What each method is in one place: as configured, or, where that is None, as its search chose.

    Args:
        methods: method -> section of the config; None for a swept one.
        chosen: of that place, see `read_chosen`.
    """
    return {name: MethodConfig(**(method or chosen[name]["method"])) for name, method in methods.items()}


def notes(chosen: Mapping[Place, Mapping[str, dict]], tried: Mapping[str, int]) -> tuple[str, ...]:
    """Sentences on the searches: how they chose, which methods they tuned, and what they chose; none without a search.

    Args:
        chosen: `read_chosen` of the study.
        tried: method -> configurations tried, 1 without a search; all methods of the study.
    """
    found = [choice for there in chosen.values() for choice in there.values()]
    if not found:
        return ()
    rule, seed = found[0]["rule"], found[0]["seed"]
    tuned = [
        f"{name} ({count} configurations)" for name, count in tried.items() if any(name in c for c in chosen.values())
    ]
    others = [name for name in tried if not any(name in c for c in chosen.values())]
    points = [
        f"{model}, {split}: " + ", ".join(f"{name} {choice['point']}" for name, choice in there.items())
        for (model, split), there in chosen.items()
    ]
    meaning = (RULES[rule].__doc__ or "").strip().splitlines()[0]
    return (
        f"Tuned: {', '.join(tuned)}. "
        + (f"As configured, without a search: {', '.join(others)}. " if others else "")
        + f"A search compares single runs of seed {seed}, which is not among the seeds reported, by the rule {rule}: "
        + meaning,
        f"Chosen: {'; '.join(points)}.",
    )
