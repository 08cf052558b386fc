"""Which rows a model is judged on: the evaluation sets of a study, and the parts of them that are measured."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lethe.benchmarks.records import Record, select
from lethe.splits import retain_split


def evaluation_sets(
    records: Iterable[Record], splits: list[str], study_splits: list[str], limits: dict[str, int]
) -> dict[str, list[Record]]:
    """Records of each evaluation set for the forget splits of a run (several for the starting model).

    `retain` holds rows with perturbed answers (TOFU's `retain_perturbed`) that are retained under every split of the
    study, so that all runs are judged on the same rows. Limits take rows evenly spread over a set, split by split.
    Sets that the benchmark lacks are absent.

    Raises:
        InputError: if a forget split is empty.
    """
    records = list(records)
    sets: dict[str, list[Record]] = {
        "forget": [],
        "retain": _spread(
            [
                r
                for r in records
                if r.set == "full" and r.perturbed_answers and all(retain_split(s) in r.splits for s in study_splits)
            ],
            limits.get("retain"),
        ),
        "real_authors": _spread([r for r in records if r.set == "real_authors"], limits.get("real_authors")),
        "world_facts": _spread([r for r in records if r.set == "world_facts"], limits.get("world_facts")),
        "holdout": [],
    }
    for split in splits:
        sets["forget"] += _spread(select(records, "full", split), limits.get("forget"))
        members = [r for r in records if r.set == "holdout" and split in r.splits]
        sets["holdout"] += _spread(members, limits.get("holdout"))
    return {name: list(dict.fromkeys(rows)) for name, rows in sets.items() if rows}


def _spread(rows: list[Record], limit: int | None) -> list[Record]:
    if limit is None or limit >= len(rows):
        return rows
    return [rows[i] for i in np.linspace(0, len(rows) - 1, limit).round().astype(int)]


def epoch_sets(sets: dict[str, list[Record]], limits: dict[str, int]) -> dict[str, list[Record]]:
    """The part of the evaluation sets that is measured during training."""
    return {name: _spread(rows, limits.get(name)) for name, rows in sets.items()}


def restrict(table: pd.DataFrame, sets: dict[str, list[Record]]) -> pd.DataFrame:
    """Rows of a measured table that belong to the given evaluation sets."""
    wanted = pd.MultiIndex.from_tuples([(name, r.id) for name, rows in sets.items() for r in rows])
    return table[pd.MultiIndex.from_frame(table[["set", "sample"]]).isin(wanted)].reset_index(drop=True)
