"""Every configuration that a search tried, not only the one it chose.

The ETW paper reports best configurations and shows others in a figure (arXiv 2604.17785, Fig. 6); how they were chosen
is unknown (our specification §10, no. 6), so here the rule and its seed stand under the table.
"""

from collections.abc import Iterable

from lethe.evaluation.runs import read_runs
from lethe.selection import RULES
from lethe.tables.main import FORMATS, MAIN_METRICS, heading
from lethe.tables.render import Column, Layout
from lethe.target import Target


def make(source, settings, target: Target) -> None:
    """From the runs of every search, one table of them."""
    target.table(read_runs(source.search), layout(settings.rule, settings.selection_seed, settings.seeds))


def layout(rule: str, seed: int, seeds: Iterable[int]) -> Layout:
    """How the rows of `search/…/runs.parquet` are set.

    Args:
        rule: `selection.rule`.
        seed: `selection.seed`, of the runs that are compared.
        seeds: those of the runs that are reported elsewhere.
    """
    columns = {name: Column(name) for name in ("model", "split", "method", "point", "chosen")}
    columns |= {name: Column(heading(name), FORMATS.get(name, ".3f")) for name in MAIN_METRICS}
    meaning = (RULES[rule].__doc__ or "").strip().splitlines()[0]
    return Layout(
        "Configurations that the searches tried.",
        columns,
        (
            f"Chosen by the rule {rule}: {meaning} Compared are single runs of seed {seed}, which is reported nowhere "
            f"else; the other tables report the chosen configuration with seeds {', '.join(map(str, seeds))}.",
        ),
        ("model", "split", "method"),
    )
