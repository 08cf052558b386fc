"""How unlearning went: losses and token weights by step, so that a collapse is seen and not inferred.

A forget loss that runs away, a retain loss that follows it, or weights that all shrink to zero each tell
another story about a bad result in the main table.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from lethe.evaluation.runs import read_logs
from lethe.figures import style
from lethe.io import require
from lethe.target import Target

PANELS = {
    "loss_forget": "Forget loss (nats)",
    "loss_retain": "Retain loss (nats)",
    "weight_mean": "Mean token weight ω",
    "weight_std": "Standard deviation of ω",
}


def make(source, settings, target: Target) -> None:
    """From the log of every run of one model and split, losses and weights by step."""
    style.save(draw(read_logs(source.logs), settings.methods), target.stem())


@style.styled
def draw(logs: pd.DataFrame, methods: Sequence[str] | None = None) -> Figure:
    """Four panels by optimiser step, one line per method: mean over seeds, band of ± one standard deviation.

    A run whose value stops being finite is marked with a cross at its last finite value, and leaves the mean
    there.

    Args:
        logs: the runs' training logs one below the other, with columns method and seed added; values are NaN
            where a method has no such term.
        methods: the study's methods, in the order that fixes their colours; by default that of `logs`.

    Raises:
        InputError: if a column is missing.
    """
    require(logs, ["method", "seed", "step", *PANELS], "training log")
    methods = list(dict.fromkeys(logs["method"]) if methods is None else methods)
    figure = style.new(style.WIDTH, 4.4)
    panels = figure.subplots(2, 2, sharex=True)
    for axes, (column, title) in zip(panels.flat, PANELS.items(), strict=True):
        for method, look in style.looks(methods).items():
            _lines(axes, logs[logs["method"] == method], column, method, look)
        axes.set_ylabel(title)
        finite = logs[column][np.isfinite(logs[column])].abs()
        if len(finite) and finite.max() > 20 * max(finite.median(), 0.5):
            axes.set_yscale("symlog", linthresh=1)
            axes.yaxis.set_major_formatter(ScalarFormatter())
            axes.set_ylabel(f"{title}, log beyond ±1")
    for axes in panels[1]:
        axes.set_xlabel("Optimiser step")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=min(len(names), 8), columnspacing=1.2)
    return figure


def _lines(axes: Axes, logs: pd.DataFrame, column: str, method: str, look: style.Look) -> None:
    runs = logs.pivot(index="step", columns="seed", values=column).astype(float)
    runs = runs.where(np.isfinite(runs))
    mean, spread = runs.mean(axis=1), runs.std(axis=1, ddof=1)
    axes.plot(mean.index, mean, color=look.colour, linestyle=look.line, label=method)
    if runs.shape[1] > 1:
        axes.fill_between(mean.index, mean - spread, mean + spread, color=look.colour, alpha=0.18, linewidth=0)
    for seed in runs:
        last = runs[seed].last_valid_index()
        if last is not None and last < runs.index[-1]:
            axes.plot(last, runs.loc[last, seed], marker="x", color=look.colour, markersize=6, label="_ended")
