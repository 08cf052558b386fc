"""ETW Fig. 5: the aggregate score and the privacy leakage of every method.

arXiv 2604.17785; docs/choices.md#figures-of-etw. Agg. multiplies two losses, so a run that loses no utility has
none; such runs are counted above the panel, because the other seeds' bar would otherwise speak for them.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lethe.evaluation.runs import read_runs
from lethe.figures import style
from lethe.io import require
from lethe.tables.main import REFERENCES
from lethe.target import Target

PANELS = {"aggregate": "Agg.", "abs_privleak": "|Priv.| (%)"}
DECADES = 4  # at most, on a logarithmic axis; smaller values lie in its linear part


def make(source, settings, target: Target) -> None:
    """From every run, the bars."""
    style.save(draw(read_runs(source.runs), settings.methods), target.stem())


@style.styled
def draw(runs: pd.DataFrame, methods: Sequence[str] | None = None) -> Figure:
    """Agg. (left) and |Priv.| (right) per method: bar = mean over seeds, point = seed; a row per model and split.

    Args:
        runs: one row per (model, split, method, seed) with aggregate and abs_privleak; rows with method "full" and
            "retain" are reference lines. NaN or infinite = undefined, counted above the method's bar.
        methods: the study's methods, in the order that fixes their colours; by default that of `runs`.

    Raises:
        InputError: if a column is missing.
    """
    require(runs, ["model", "split", "method", *PANELS], "runs table")
    methods = list(dict.fromkeys(runs["method"]) if methods is None else methods)
    methods = [method for method in methods if method not in REFERENCES]
    groups = [key for key, _ in runs.groupby(["model", "split"], sort=False)]
    figure = style.new(style.WIDTH, 1.45 * len(groups) + 1.15)
    panels = figure.subplots(len(groups), len(PANELS), squeeze=False, sharex=True)
    for (model, split), row in zip(groups, panels, strict=True):
        found = runs[(runs["model"] == model) & (runs["split"] == split)]
        for (column, title), axes in zip(PANELS.items(), row, strict=True):
            values = found[column].astype(float).where(np.isfinite(found[column]))
            counted = _panel(axes, values, found["method"], methods)
            axes.set_title(f"{model}, {split}", pad=4 + 16 * counted)
            axes.set_ylabel(title + axes.get_ylabel())
    for axes in panels[-1]:
        axes.set_xticks(range(len(methods)), methods, rotation=90 if len(methods) > 5 else 0)
        axes.set_xlim(-0.6, len(methods) - 0.4)
    _legend(figure, set(runs["method"]))
    return figure


def _panel(axes: Axes, values: pd.Series, who: pd.Series, methods: Sequence[str]) -> bool:
    """Draw one metric; whether a run of it is undefined."""
    looks, counted = style.looks(methods) | style.looks(REFERENCES), False
    for place, method in enumerate(methods):
        own = values[who == method]
        defined = own.dropna()
        look = looks[method]
        if len(defined):
            axes.bar(place, defined.mean(), width=0.72, color=look.colour, alpha=0.55, label=method)
            axes.plot(
                place + np.linspace(-0.2, 0.2, len(own))[own.notna()] if len(own) > 1 else [place],
                defined,
                linestyle="none",
                marker="o",
                markersize=3,
                color=look.colour,
                markeredgecolor="white",
                markeredgewidth=0.4,
                clip_on=False,
                zorder=4,
                label=f"_{method}",
            )
        if len(defined) < len(own):
            counted = True
            axes.text(
                place,
                1.03,
                f"{len(own) - len(defined)}/{len(own)}",
                transform=axes.get_xaxis_transform(),
                ha="center",
                va="bottom",
                rotation=90,
                fontsize=style.SMALL,
                color="#555555",
            )
    for name in REFERENCES:
        for value in values[who == name].dropna():
            look = looks[name]
            axes.axhline(value, color=look.colour, linestyle=_line(name), linewidth=0.9, zorder=1, label=name)
    _scale(axes, values)
    return counted


def _line(reference: str) -> str:
    return {"full": ":", "retain": "--"}[reference]


def _scale(axes: Axes, values: pd.Series) -> None:
    """Linear from 0; where one bar would flatten the others, logarithmic down to a power of ten that is named."""
    positive = values[values > 0]
    if len(positive) and positive.max() > 20 * positive.median():
        bend = 10.0 ** math.floor(math.log10(max(positive.min(), positive.max() / 10**DECADES)))
        axes.set_yscale("symlog", linthresh=bend, linscale=0.6)
        decades = range(round(math.log10(bend)), math.floor(math.log10(positive.max())) + 1)
        axes.set_yticks([0, *(10.0**decade for decade in decades)])
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.set_ylabel(f"\nlog above {bend:g}")
        axes.set_ylim(0, positive.max() * 2)
    else:
        axes.set_ylim(0, max(1.08 * values.max(), 1e-9) if len(positive) else 1)


def _legend(figure: Figure, present: set[str]) -> None:
    handles = [
        Line2D([], [], linestyle="none", marker="s", markersize=6, color="#999999", label="mean over seeds"),
        Line2D([], [], linestyle="none", marker="o", markersize=3, color="#444444", label="a seed"),
    ]
    handles += [
        Line2D([], [], color=style.colour(name), linestyle=_line(name), linewidth=0.9, label=f"{name} model")
        for name in REFERENCES
        if name in present
    ]
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=len(handles),
        title="lower is better; above a panel: undefined runs / runs (Agg. is undefined where no utility is lost)",
        title_fontsize=style.SMALL,
    )
