"""ETW Fig. 6: what a run pays in model utility for the forget quality it reaches.

arXiv 2604.17785, §5 of our specification. Every run is shown, because a mean of p-values hides the runs that fail.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import ScalarFormatter

from lethe.figures import style
from lethe.tables import REFERENCES, require

PASS = -math.log10(0.05)  # a run above this is told apart from the retain model at the 5 % level
X, Y = "model_utility", "neg_log10_fq"


@style.styled
def draw(runs: pd.DataFrame, methods: Sequence[str] | None = None) -> Figure:
    """Model utility against −log10 forget quality; rows of panels are models, columns are splits.

    Args:
        runs: one row per (model, split, method, seed) with model_utility, neg_log10_fq and aggregate; rows with method
            "full" and "retain" are reference marks. NaN or infinite = undefined, counted in the panel.
        methods: the study's methods, in the order that fixes their colours; by default that of `runs`.

    Raises:
        InputError: if a column is missing.
    """
    require(runs, ["model", "split", "method", X, Y, "aggregate"], "runs table")
    methods = list(dict.fromkeys(runs["method"]) if methods is None else methods)
    methods = [method for method in methods if method not in REFERENCES]
    models, splits = list(dict.fromkeys(runs["model"])), list(dict.fromkeys(runs["split"]))
    figure = style.new(style.WIDTH if len(splits) > 1 else 3.6, 2.2 * len(models) + 0.75)
    panels = figure.subplots(len(models), len(splits), squeeze=False, sharex="row", sharey=True)
    finite = runs[Y][np.isfinite(runs[Y])]
    for model, row in zip(models, panels, strict=True):
        for split, axes in zip(splits, row, strict=True):
            _panel(axes, runs[(runs["model"] == model) & (runs["split"] == split)], methods)
            axes.set_title(f"{model}, {split}")
    if finite.max() > 20:
        # Forget quality spans hundreds of decades: linear up to the 5 % line's neighbourhood, logarithmic beyond.
        panels[0, 0].set_yscale("symlog", linthresh=2, linscale=0.8)
        panels[0, 0].set_yticks([t for t in (0, 1, 2, 5, 10, 20, 50, 100, 200) if t <= 1.6 * finite.max()])
        panels[0, 0].yaxis.set_major_formatter(ScalarFormatter())
        panels[0, 0].minorticks_off()
    figure.supxlabel("Model utility (higher is better)", fontsize=8)
    figure.supylabel("−log₁₀ forget quality (lower is better)", fontsize=8)
    _legend(figure, methods, set(runs["method"]))
    return figure


def best_run(runs: pd.DataFrame) -> int | None:
    """Index of a method's best drawable run: lowest aggregate, or lowest −log10 FQ if no aggregate is defined."""
    runs = runs[np.isfinite(runs[X]) & np.isfinite(runs[Y])]
    if runs.empty:
        return None
    return runs.sort_values(["aggregate", Y], kind="stable", na_position="last").index[0]


def _panel(axes: Axes, runs: pd.DataFrame, methods: Sequence[str]) -> None:
    axes.axhline(PASS, color="#999999", linewidth=0.8, linestyle=(0, (4, 2)))
    axes.annotate(
        "p = 0.05",
        (1, PASS),
        xycoords=("axes fraction", "data"),
        xytext=(0, 1.5),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=style.SMALL,
        color="#555555",
    )
    looks = style.looks(methods) | style.looks(REFERENCES)
    drawn = np.isfinite(runs[X]) & np.isfinite(runs[Y])
    for method in [*methods, *REFERENCES]:
        chosen = runs["method"] == method
        best = best_run(runs[chosen]) if method in methods else None
        for index, run in runs[chosen & drawn].iterrows():
            axes.plot(
                run[X],
                run[Y],
                linestyle="none",
                marker=looks[method].marker,
                color=looks[method].colour,
                markersize=8.5 if index == best else 7 if method in REFERENCES else 4.5,
                markeredgecolor="white" if method in methods else "black",
                markeredgewidth=0.5,
                alpha=1 if index == best or method in REFERENCES else 0.7,
                zorder=4 if index == best else 3,
                clip_on=False,
                label=method,
            )
        # A reference model whose forget quality is undefined still says how much utility there was to keep.
        for value in runs.loc[chosen & ~drawn & np.isfinite(runs[X]), X] if method in REFERENCES else ():
            axes.axvline(value, color=looks[method].colour, linewidth=0.8, linestyle=looks[method].line, label=method)
    ours = runs["method"].isin(methods)
    undefined = runs[ours & ~drawn]["method"].value_counts(sort=False)
    if len(undefined):
        names = ", ".join(f"{method} {count}" for method, count in undefined.items())
        axes.text(
            0.02,
            0.98,
            f"undefined runs: {undefined.sum()} of {ours.sum()}\n({names})",
            transform=axes.transAxes,
            va="top",
            fontsize=style.SMALL,
            color="#555555",
        )
    axes.margins(0.08, 0.12)


def _legend(figure: Figure, methods: Sequence[str], present: set[str]) -> None:
    looks = style.looks(methods) | style.looks(REFERENCES)
    names = [*methods, *(name for name in REFERENCES if name in present)]
    handles = [
        Line2D([], [], linestyle="none", marker=looks[n].marker, color=looks[n].colour, markersize=5, label=n)
        for n in names
    ]
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=min(len(names), 8),
        columnspacing=1.0,
        handletextpad=0.2,
        title="one mark per run; larger: best run of a method (lowest Agg., else lowest −log₁₀ FQ)",
        title_fontsize=style.SMALL,
    )
