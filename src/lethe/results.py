"""Results of a study in one table: a row per run, a column per metric, for tables, figures and notebooks."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lethe.benchmarks.records import Record
from lethe.config import EvaluationConfig
from lethe.evaluation import Tables, evaluate
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


def trajectory(
    model: str,
    split: str,
    runs: Mapping[str, Tables],
    references: Mapping[str, Tables],
    records: list[Record],
    sets: dict[str, list[Record]],
    config: EvaluationConfig,
) -> pd.DataFrame:
    """Metrics by epoch: a row per run and measured epoch as in `run_row`, with column `epoch`.

    Args:
        model, split: of the runs.
        runs: `<method>/seed<n>` -> tables with a column `epoch`.
        references: "full" and "retain" -> tables; measured once, they have no epoch. Where the runs have no generations
            (cheap suite), theirs are left out too, so that a metric means the same in every row.
        records, sets, config: as in `lethe.evaluation.evaluate`; `sets` are those measured during training.
    """
    if all(generations.empty for _, generations in runs.values()):
        references = {who: (tokens, generations.iloc[:0]) for who, (tokens, generations) in references.items()}
    measured = dict(references)
    for run, (tokens, generations) in runs.items():
        for epoch in tokens["epoch"].unique():
            measured[f"{run}@{epoch}"] = (
                tokens[tokens["epoch"] == epoch],
                generations[generations["epoch"] == epoch],
            )
    _, summaries = evaluate(measured, records, sets, config)
    rows = []
    for who, summary in summaries.items():
        run, _, epoch = who.partition("@")
        rows.append({**run_row(model, split, run, summary), "epoch": int(epoch) if epoch else None})
    return pd.DataFrame(rows).astype({"seed": "Int64", "epoch": "Int64"})
