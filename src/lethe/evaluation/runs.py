"""Results of a study in one table: a row per run, a column per metric, for tables, figures and notebooks."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lethe.io import read_table
from lethe.metrics import Value


def run_row(model: str, split: str, who: str, summary: Mapping[str, Value]) -> dict:
    """One row: model, split, method, seed, and every metric; NaN = undefined (the reason is in summary.json).

    `who` is `full`, `retain` or `<method>/seed<n>`; reference models have no seed.
    """
    method, _, seed = who.partition("/seed")
    values = {name: np.nan if value.value is None else value.value for name, value in summary.items()}
    return {"model": model, "split": split, "method": method, "seed": int(seed) if seed else None, **values}


def read_runs(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Rows of several `runs.parquet`, in order; `seed` is a nullable integer."""
    runs = pd.concat([read_table(path) for path in paths], ignore_index=True)
    return runs.astype({"seed": "Int64"})


def read_logs(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Training logs of unlearning runs one below the other, with method and seed from their paths.

    Paths end in `<method>/seed<n>/log.parquet`.
    """
    logs = []
    for path in map(Path, paths):
        logs.append(
            read_table(path).assign(method=path.parents[1].name, seed=int(path.parent.name.removeprefix("seed")))
        )
    table = pd.concat(logs, ignore_index=True)
    for column in ("loss_forget", "loss_retain"):  # a study without any retain term has no such column
        if column not in table:
            table[column] = np.nan
    return table
