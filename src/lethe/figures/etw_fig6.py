"""ETW Fig. 6: what a run pays in model utility for the forget quality it reaches.

arXiv 2604.17785, §5 of our specification. Every run is shown, because a mean of p-values hides the runs that
fail.
"""

import math
from collections.abc import Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import ScalarFormatter

from lethe.figures import style
from lethe.tables import REFERENCES, require

PASS = -math.log10(0.05)  # a run above this is told apart from the retain model at the 5 % level
PASS_LINE = {"color": "#999999", "linewidth": 0.8, "linestyle": (0, (4, 2))}
X, Y = "model_utility", "neg_log10_fq"


@style.styled
def draw(runs: pd.DataFrame, methods: Sequence[str] | None = None) -> Figure:
    """Model utility against −log10 forget quality; rows of panels are models, columns are splits.

    Args:
        runs: one row per (model, split, method, seed) with model_utility, neg_log10_fq and aggregate; rows
            with method "full" and "retain" are reference marks. NaN or infinite = undefined, counted in the
            panel.
        methods: the study's methods, in the order that fixes their colours; by default that of `runs`.

    Raises:
        InputError: if a column is missing.
    """
    require(runs, ["model", "split", "method", X, Y, "aggregate"], "runs table")
    runs = runs.reset_index(drop=True)
    methods = list(dict.fromkeys(runs["method"]) if methods is None else methods)
    methods = [method for method in methods if method not in REFERENCES]
    models, splits = list(dict.fromkeys(runs["model"])), list(dict.fromkeys(runs["split"]))
    figure = style.new(style.WIDTH if len(splits) > 1 else 4.3, 2.3 * len(models) + 1.0)
    # Utility is comparable within a model, forget quality within a split, whose size sets its range.
    panels = figure.subplots(len(models), len(splits), squeeze=False, sharex="row", sharey="col")
    for model, row in zip(models, panels, strict=True):
        for split, axes in zip(splits, row, strict=True):
            _panel(axes, runs[(runs["model"] == model) & (runs["split"] == split)], methods)
            note = _undefined(runs[(runs["model"] == model) & (runs["split"] == split)], methods)
            axes.set_title(f"{model}, {split}", pad=4 + 9 * note.count("\n") + 10 * bool(note))
            axes.text(
                0.5,
                1.02,
                note,
                transform=axes.transAxes,
                ha="center",
                va="bottom",
                fontsize=style.SMALL,
                color="#555555",
            )
    for split, axes in zip(splits, panels[0], strict=True):
        _scale(axes, runs.loc[runs["split"] == split, Y])
    figure.supxlabel("Model utility (higher is better)", fontsize=8)
    figure.supylabel("−log₁₀ forget quality\n(lower is better)", fontsize=8)
    _legend(figure, methods, set(runs["method"]))
    return figure


def best_run(runs: pd.DataFrame) -> int | None:
    """Index of a method's best drawable run: lowest aggregate, or lowest −log10 FQ if none is defined."""
    runs = runs[np.isfinite(runs[X]) & np.isfinite(runs[Y])]
    if runs.empty:
        return None
    return runs.sort_values(["aggregate", Y], kind="stable", na_position="last").index[0]


def _panel(axes: Axes, runs: pd.DataFrame, methods: Sequence[str]) -> None:
    axes.axhline(PASS, **PASS_LINE)
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
                zorder=5 if method in REFERENCES else 4 if index == best else 3,
                clip_on=False,
                label=method,
            )
        # A reference model whose forget quality is undefined still says how much utility there was to keep.
        for value in runs.loc[chosen & ~drawn & np.isfinite(runs[X]), X] if method in REFERENCES else ():
            axes.axvline(value, color=looks[method].colour, linewidth=0.8, linestyle=looks[method].line, label=method)
    axes.margins(0.08, 0.12)


def _undefined(runs: pd.DataFrame, methods: Sequence[str]) -> str:
    """How many runs of a panel cannot be drawn, and whose they are; empty if all can."""
    ours = runs[runs["method"].isin(methods)]
    lost = ours[~(np.isfinite(ours[X]) & np.isfinite(ours[Y]))]["method"].value_counts(sort=False)
    if lost.empty:
        return ""
    names = ", ".join(f"{method} {count}" for method, count in lost.items())
    return fill(f"{lost.sum()} of {len(ours)} runs undefined ({names})", 36)


def _scale(axes: Axes, values: pd.Series) -> None:
    """−log10 FQ may span hundreds of decades: then linear about the 5 % line, logarithmic beyond."""
    highest = values[np.isfinite(values)].max()
    if highest > 20:
        axes.set_yscale("symlog", linthresh=2, linscale=0.8)
        axes.set_yticks([tick for tick in (0, 1, 2, 5, 10, 20, 50, 100, 200) if tick <= 1.6 * highest])
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.minorticks_off()


def _legend(figure: Figure, methods: Sequence[str], present: set[str]) -> None:
    looks = style.looks(methods) | style.looks(REFERENCES)
    names = [*methods, *(name for name in REFERENCES if name in present)]
    handles = [
        Line2D([], [], linestyle="none", marker=looks[n].marker, color=looks[n].colour, markersize=5, label=n)
        for n in names
    ]
    handles.append(Line2D([], [], **PASS_LINE, label="p = 0.05"))
    columns = 8 if figure.get_figwidth() > 5 else 5
    legend = figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=math.ceil(len(handles) / math.ceil(len(handles) / columns)),
        columnspacing=1.0,
        handletextpad=0.4,
        handlelength=1.5,
        title="one mark per run; larger: best run of a method\n(lowest Agg., or lowest −log₁₀ FQ if Agg. is undefined)",
        title_fontsize=style.SMALL,
    )
    legend.get_title().set_multialignment("center")
