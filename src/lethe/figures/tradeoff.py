"""ETW Fig. 6: what a run pays in model utility for the forget quality it reaches.

arXiv 2604.17785, §5 of our specification. Every run is shown, because a mean of p-values hides the runs that
fail; and so is every configuration that a search has tried, because the best of many looks better than it is.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lethe.evaluation.runs import read_runs
from lethe.figures import style
from lethe.figures.plane import (
    PASS_HEIGHT,
    PASS_LINE,
    RULE_WORDS,
    X,
    Y,
    best_run,
    drawable,
    heading,
    legend,
    panel_grid,
    scale_panels,
    tried,
    undefined,
)
from lethe.io import require
from lethe.tables.main import REFERENCES
from lethe.target import Target

MANY = 10  # methods; with more, marks are smaller and panels higher


def make(source, settings, target: Target) -> None:
    """From every run and every configuration searched, the figure of utility against forgetting."""
    points = read_runs(source.search) if source.search else None
    target.figure(draw(read_runs(source.runs), settings.methods, points, settings.rule))


@style.styled
def draw(
    runs: pd.DataFrame,
    methods: Sequence[str] | None = None,
    points: pd.DataFrame | None = None,
    rule: str = "lowest_aggregate",
) -> Figure:
    """Model utility against −log10 forget quality; rows of panels are models, columns are splits.

    Args:
        runs: one row per (model, split, method, seed) with model_utility, neg_log10_fq, aggregate and forget_quality;
            rows with method "full" and "retain" are reference marks. NaN or infinite = undefined, counted in the
            panel.
        methods: the study's methods, in the order that fixes their colours; by default that of `runs`.
        points: configurations tried, one row per (model, split, method, point) with model_utility, neg_log10_fq and
            chosen (bool); drawn small and hollow, the chosen one with a dot in it. None: nothing was searched.
        rule: `selection.rule`; by it, the best run of each method is drawn larger.

    Raises:
        InputError: if a column is missing.
    """
    require(runs, ["model", "split", "method", X, Y], "runs table")
    if points is None:
        points = pd.DataFrame(columns=["model", "split", "method", "chosen", X, Y]).astype({X: float, Y: float})
    require(points, ["model", "split", "method", "chosen", X, Y], "search table")
    runs, points = runs.reset_index(drop=True), points.reset_index(drop=True)
    methods = list(dict.fromkeys(runs["method"]) if methods is None else methods)
    methods = [method for method in methods if method not in REFERENCES]
    models, splits = list(dict.fromkeys(runs["model"])), list(dict.fromkeys(runs["split"]))
    figure, panels = panel_grid(models, splits, 2.3 if len(methods) <= MANY else 2.9)
    for model, row in zip(models, panels, strict=True):
        for split, axes in zip(splits, row, strict=True):
            own = runs[(runs["model"] == model) & (runs["split"] == split)]
            searched = points[(points["model"] == model) & (points["split"] == split)]
            tried(axes, searched, style.looks(methods))
            _panel(axes, own, methods, rule)
            notes = [undefined(own, methods, "runs"), undefined(searched, methods, "configurations")]
            heading(axes, f"{model}, {split}", notes)
    drawn = pd.concat([frame[["model", "split", X, Y]] for frame in (runs, points)])
    scale_panels(figure, panels, models, splits, drawn)
    _legend(figure, methods, set(runs["method"]), rule, searched=len(points) > 0)
    return figure


def _panel(axes: Axes, runs: pd.DataFrame, methods: Sequence[str], rule: str) -> None:
    axes.axhline(PASS_HEIGHT, **PASS_LINE)
    looks = style.looks(methods) | style.looks(REFERENCES)
    large, small = (8.5, 4.5) if len(methods) <= MANY else (6.5, 3.5)
    drawn = drawable(runs)
    for method in [*methods, *REFERENCES]:
        chosen = runs["method"] == method
        best = best_run(runs[chosen], rule)[0] if method in methods else None
        for index, run in runs[chosen & drawn].iterrows():
            axes.plot(
                run[X],
                run[Y],
                linestyle="none",
                marker=looks[method].marker,
                color=looks[method].colour,
                markersize=large if index == best else 7 if method in REFERENCES else small,
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


def _legend(figure: Figure, methods: Sequence[str], present: set[str], rule: str, searched: bool) -> None:
    looks = style.looks(methods) | style.looks(REFERENCES)
    names = [*methods, *(name for name in REFERENCES if name in present)]
    handles = [
        Line2D([], [], linestyle="none", marker=looks[n].marker, color=looks[n].colour, markersize=5, label=n)
        for n in names
    ]
    handles.append(Line2D([], [], **PASS_LINE))
    title = f"one mark per run; larger: best run of a method\n({RULE_WORDS[rule]})"
    if searched:
        title += "\nhollow: configurations tried, with a seed of their own; dotted: chosen"
    legend(figure, handles, title)
