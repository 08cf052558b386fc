"""What a method costs in time and memory, next to one that everybody knows.

ETW claims no parser, no reference model and one extra scalar (arXiv 2604.17785; docs/choices.md#reported-numbers),
without a timing. The runs' own logs say what a step takes.
"""

from itertools import islice

import pandas as pd

from lethe.evaluation.runs import read_logs
from lethe.tables.render import Column, Layout, stacked, write
from lethe.target import Target

GROUP = ["model", "split", "method"]
WARM_UP = 2  # first steps: allocation and compilation, not the method


def make(source, settings, target: Target) -> None:
    """From the log of every run, the table of seconds and memory."""
    paths = iter(source.logs)
    logs = {place: read_logs(islice(paths, settings.runs_per_place)) for place in settings.places}
    table = cost_table(stacked(logs, ["model", "split"]), settings.baseline)
    write(table, target.stem(), layout(settings.baseline), target.origin)


def cost_table(logs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Time and memory of each method, means over seeds.

    Args:
        logs: model, split, method, seed, step, seconds (wall clock of a step), peak_mib; a row per optimiser step.
        baseline: method that the others of its model and split are divided by.

    Returns:
        One row per model, split, method, in the order of `logs`, columns runs (seeds), steps (per run, mean),
        seconds_per_step (median of a run without its first 2 steps, s), steady_seconds (steps × that median, s),
        peak_mib (highest of a run, MiB), total_seconds (sum of a run's steps as they were, pauses of the machine
        included, s), each with its mean and, as `_sd`, sample standard deviation over seeds; timed (runs of more than 2
        steps: seconds_per_step and steady_seconds are undefined for others); relative_seconds and relative_peak (to the
        baseline's mean; 1 for itself, NaN where it has no value).
    """
    runs = []
    for key, run in logs.groupby([*GROUP, "seed"], sort=False):
        run = run.sort_values("step")
        steps, median = len(run), run["seconds"].iloc[WARM_UP:].median()  # NaN where no step is left
        runs.append((*key, steps, median, steps * median, run["peak_mib"].max(), run["seconds"].sum()))
    values = ["steps", "seconds_per_step", "steady_seconds", "peak_mib", "total_seconds"]
    groups = pd.DataFrame(runs, columns=[*GROUP, "seed", *values]).groupby(GROUP, sort=False)
    table = groups[values].mean()
    for name in values[1:]:
        table[f"{name}_sd"] = groups[name].std(ddof=1)
    table["runs"], table["timed"] = groups.size(), groups["seconds_per_step"].count()
    table = table.reset_index()
    reference = table[table["method"] == baseline].set_index(["model", "split"])
    place = pd.MultiIndex.from_frame(table[["model", "split"]])
    for name, relative in (("seconds_per_step", "relative_seconds"), ("peak_mib", "relative_peak")):
        table[relative] = table[name] / reference[name].reindex(place).to_numpy()
    return table


def layout(baseline: str) -> Layout:
    """How the table is set."""
    columns = {
        "model": Column("model"),
        "split": Column("split"),
        "method": Column("method"),
        "runs": Column("n", ".0f"),
        "steps": Column("steps", ".0f"),
        "seconds_per_step": Column("s per step", ".3f", spread="seconds_per_step_sd"),
        "relative_seconds": Column(f"× {baseline}", ".2f"),
        "peak_mib": Column("peak MiB", ".0f", spread="peak_mib_sd"),
        "relative_peak": Column(f"× {baseline} (peak)", ".2f"),
        "steady_seconds": Column("steps × s per step", ".1f", spread="steady_seconds_sd"),
    }
    return Layout(
        "Time and memory of unlearning.",
        columns,
        (
            f"Median wall-clock seconds of a run's optimiser steps without its first {WARM_UP}, highest memory of "
            "its steps; mean ± standard deviation over n seeds. The last column is what a run takes on a machine that "
            "never pauses: its steps × that median; the sum of the times as they were is in the CSV (total_seconds). "
            "Peak memory is what is allocated on a GPU, or what the process holds on a CPU.",
            "What is made once for all methods is left out: the starting model's scores of tokens, parses, noisy "
            "passes, the reference for retain terms. Runs that share a machine slow each other down.",
        ),
        ("model", "split"),
    )
