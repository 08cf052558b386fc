"""ETW Fig. 6: what a run pays in model utility for the forget quality it reaches.

arXiv 2604.17785; docs/choices.md#figures-of-etw. Every run is shown, because a mean of p-values hides the runs that
fail; and so is every configuration that a search has tried, because the best of many looks better than it is.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lethe.benchmarks import BENCHMARKS
from lethe.benchmarks.contract import Benchmark
from lethe.evaluation.runs import read_runs
from lethe.figures import style
from lethe.figures.plane import (
    X,
    Y,
    best_run,
    draw_line,
    drawable,
    heading,
    legend,
    line_handle,
    on_plane,
    panel_grid,
    rule_words,
    scale_panels,
    tried,
    undefined,
)
from lethe.tables.main import REFERENCES
from lethe.target import Target

MANY = 10  # methods; with more, marks are smaller and panels higher


def make(source, settings, target: Target) -> None:
    """From every run and every configuration searched, the figure of utility against forgetting."""
    points = read_runs(source.search) if source.search else None
    runs, benchmark = read_runs(source.runs), BENCHMARKS[settings.task]
    style.save(draw(runs, settings.methods, points, settings.rule, benchmark=benchmark), target.stem())


@style.styled
def draw(
    runs: pd.DataFrame,
    methods: Sequence[str] | None = None,
    points: pd.DataFrame | None = None,
    rule: str = "lowest_aggregate",
    *,
    benchmark: Benchmark,
) -> Figure:
    """Utility against forgetting (TOFU: −log10 forget quality); rows of panels are models, columns are splits.

    Args:
        runs: one row per (model, split, method, seed) with the metrics of the benchmark's headline; rows with method
            "full" and "retain" are reference marks. NaN or infinite = undefined, counted in the panel.
        methods: the study's methods, in the order that fixes their colours; by default that of `runs`.
        points: configurations tried, one row per (model, split, method, point) with these metrics and chosen
            (bool); drawn small and hollow, the chosen one with a dot in it. None: nothing was searched.
        rule: `selection.rule`; by it, the best run of each method is drawn larger.
        benchmark: whose headline is drawn.

    Raises:
        InputError: if a column is missing.
    """
    runs = on_plane(runs, benchmark, "runs table", ["model", "split", "method"]).reset_index(drop=True)
    if points is None:
        points = runs.iloc[:0].assign(chosen=False)
    points = on_plane(points, benchmark, "search table", ["model", "split", "method", "chosen"]).reset_index(drop=True)
    methods = list(dict.fromkeys(runs["method"]) if methods is None else methods)
    methods = [method for method in methods if method not in REFERENCES]
    models, splits = list(dict.fromkeys(runs["model"])), list(dict.fromkeys(runs["split"]))
    figure, panels = panel_grid(models, splits, 2.3 if len(methods) <= MANY else 2.9)
    for model, row in zip(models, panels, strict=True):
        for split, axes in zip(splits, row, strict=True):
            own = runs[(runs["model"] == model) & (runs["split"] == split)]
            searched = points[(points["model"] == model) & (points["split"] == split)]
            tried(axes, searched, style.looks(methods))
            _panel(axes, own, methods, rule, benchmark)
            notes = [undefined(own, methods, "runs"), undefined(searched, methods, "configurations")]
            heading(axes, f"{model}, {split}", notes)
    drawn = pd.concat([frame[["model", "split", X, Y]] for frame in (runs, points)])
    scale_panels(figure, panels, models, splits, drawn, benchmark)
    _legend(figure, methods, set(runs["method"]), rule, len(points) > 0, benchmark)
    return figure


def _panel(axes: Axes, runs: pd.DataFrame, methods: Sequence[str], rule: str, benchmark: Benchmark) -> None:
    draw_line(axes, benchmark)
    looks = style.looks(methods) | style.looks(REFERENCES)
    large, small = (8.5, 4.5) if len(methods) <= MANY else (6.5, 3.5)
    drawn = drawable(runs)
    for method in [*methods, *REFERENCES]:
        chosen = runs["method"] == method
        best = best_run(runs[chosen], rule, benchmark)[0] if method in methods else None
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


def _legend(
    figure: Figure, methods: Sequence[str], present: set[str], rule: str, searched: bool, benchmark: Benchmark
) -> None:
    looks = style.looks(methods) | style.looks(REFERENCES)
    names = [*methods, *(name for name in REFERENCES if name in present)]
    handles = [
        Line2D([], [], linestyle="none", marker=looks[n].marker, color=looks[n].colour, markersize=5, label=n)
        for n in names
    ]
    handles += line_handle(benchmark)
    title = f"one mark per run; larger: best run of a method\n({rule_words(rule, benchmark)})"
    if searched:
        title += "\nhollow: configurations tried, with a seed of their own; dotted: chosen"
    legend(figure, handles, title)
