"""The main table: mean and spread over seeds of every metric, and how it is set.

ETW (arXiv 2604.17785) shows one run per method; here every cell says how many runs it rests on, and a run
whose metric is undefined is counted, never dropped in silence.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from lethe.benchmarks import BENCHMARKS
from lethe.benchmarks.contract import Benchmark
from lethe.errors import InputError
from lethe.evaluation.chosen import notes, read_chosen
from lethe.evaluation.runs import read_runs
from lethe.io import require
from lethe.metrics import Metric
from lethe.tables.render import Column, Layout, cell, write
from lethe.target import Target

KEYS = ["model", "split", "method"]
REFERENCES = ("full", "retain")
"""Methods that are no methods: models that the others are held against."""


def make(source, settings, target: Target) -> None:
    """From every run and what the searches chose, the main table and all runs as CSV."""
    benchmark, runs = BENCHMARKS[settings.task], read_runs(source.runs)
    table = with_best(main_table(runs, [*benchmark.main, *benchmark.also]), benchmark)
    write(table, target.stem(), layout(benchmark, notes(read_chosen(source.chosen), settings.tried)), target.origin)
    target.csv(runs, "runs")


def main_table(runs: pd.DataFrame, metrics: Iterable[str]) -> pd.DataFrame:
    """Mean and spread over seeds, one row per model, split and method, in the order of `runs`.

    Args:
        runs: one row per (model, split, method, seed); reference models have method "full" or "retain" and no
            seed.
        metrics: metric columns; NaN and infinite values are undefined.

    Returns:
        Columns model, split, method, runs (number of rows), and for each metric `<metric>_mean`,
        `<metric>_sd` (sample standard deviation, n − 1; NaN for one run) and `<metric>_n` (runs in which it
        is defined). Means and standard deviations are over the defined runs.

    Raises:
        InputError: for a missing column or a run that occurs twice.
    """
    metrics = list(metrics)
    require(runs, [*KEYS, "seed", *metrics], "runs table")
    double = runs[runs.duplicated([*KEYS, "seed"])]
    if len(double):
        raise InputError(
            f"runs table: {dict(double.iloc[0][[*KEYS, 'seed']])} occurs twice; "
            "a run counts once, remove the other row."
        )
    values = runs[metrics].astype(float).where(lambda frame: np.isfinite(frame))
    groups = pd.concat([runs[KEYS], values], axis=1).groupby(KEYS, sort=False)
    table = groups.size().rename("runs").to_frame()
    for name in metrics:
        table[f"{name}_mean"] = groups[name].mean()
        table[f"{name}_sd"] = groups[name].std(ddof=1)
        table[f"{name}_n"] = groups[name].count()
    return table.reset_index()


def best(table: pd.DataFrame, name: str, metrics: Mapping[str, Metric]) -> np.ndarray:
    """[rows] bool: the best methods of each model and split; ties are all best.

    Reference models compete with nobody, nor does a method of which a run is undefined.
    """
    means = table[f"{name}_mean"].where(table[f"{name}_n"] == table["runs"])
    means = means.where(~table["method"].isin(REFERENCES))
    loss = metrics[name].cost(means)
    return (loss == loss.groupby([table["model"], table["split"]]).transform("min")).to_numpy()


def column(name: str, metrics: Mapping[str, Metric]) -> Column:
    """How a metric of `main_table` is shown, under `<metric>_mean`: mean ± sd, and how many runs are undefined."""
    metric = metrics[name]
    return Column(metric.title(name), metric.form, spread=f"{name}_sd", defined=(f"{name}_n", "runs"))


def text(row: Mapping, name: str, metrics: Mapping[str, Metric]) -> str:
    """A metric of a row of `main_table`: `0.492 ± 0.051; undefined (1 of 3)`, `undefined (3 of 3)`."""
    return cell(row, f"{name}_mean", column(name, metrics))


def with_best(table: pd.DataFrame, benchmark: Benchmark) -> pd.DataFrame:
    """`main_table` with a column `<metric>_best` for each of the benchmark's main metrics, see `best`."""
    return table.assign(**{f"{name}_best": best(table, name, benchmark.metrics) for name in benchmark.main})


def layout(benchmark: Benchmark, search: tuple[str, ...] = ()) -> Layout:
    """How the main table is set, from `with_best`.

    Args:
        benchmark: whose main metrics are shown.
        search: `lethe.evaluation.chosen.notes`.
    """
    columns = {key: Column(key) for key in KEYS} | {"runs": Column("n", ".0f")}
    columns |= {
        f"{name}_mean": replace(column(name, benchmark.metrics), bold=f"{name}_best") for name in benchmark.main
    }
    return Layout(
        "Forgetting, utility and privacy of every method; mean ± standard deviation over seeds.",
        columns,
        (
            "Mean ± standard deviation over n runs; ↓ lower, ↑ higher is better, → closer; "
            "bold: best method of a model and split.",
            *search,
        ),
        ("model", "split"),
    )
