"""ETW Fig. 8: forget quality and lost utility over the temperature of the entropy.

arXiv 2604.17785; docs/choices.md#figures-of-etw. Where a search varies other keys too, a temperature is judged by the
best it can do; what the other values of those keys gave stays visible, so that a lucky point is seen as one.
"""

import json
from collections.abc import Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lethe.benchmarks import BENCHMARKS
from lethe.benchmarks.contract import Benchmark
from lethe.errors import InputError
from lethe.evaluation.runs import read_runs
from lethe.figures import style
from lethe.figures.plane import best_run, draw_line, legend, line_handle, on_plane, quality_scale, rule_words
from lethe.target import Target

KEY = "weighting.temperature"
SPLITS = [("#4477AA", "o"), ("#228833", "s"), ("#AA3377", "^"), ("#CCBB44", "D"), ("#66CCEE", "v")]


def make(source, settings, target: Target) -> None:
    """From the runs of one method's searches, the curves."""
    points, benchmark = read_runs(source.search), BENCHMARKS[settings.task]
    style.save(draw(points, settings.place["method"], settings.rule, benchmark=benchmark), target.stem())


@style.styled
def draw(points: pd.DataFrame, method: str, rule: str = "lowest_aggregate", *, benchmark: Benchmark) -> Figure:
    """Forgetting (left) and lost utility (right) over T, one line per split; a row of panels per model.

    Args:
        points: the method's search, one row per (model, split, point) with parameters (JSON, with
            `weighting.temperature`), chosen, and the metrics of the benchmark's headline. NaN or
            infinite = undefined, counted in the panel, and leaving a gap in its line.
        method: whose search it is, for the legend.
        rule: `selection.rule`, by which a temperature's best configuration is found.
        benchmark: whose headline is drawn.

    Raises:
        InputError: if a column or the temperature is missing.
    """
    points = best_per_temperature(points, rule, benchmark)
    models, splits = list(dict.fromkeys(points["model"])), list(dict.fromkeys(points["split"]))
    figure = style.new(style.WIDTH, 2.0 * len(models) + 1.1)
    names = (benchmark.headline.forgetting, benchmark.headline.loss)
    panels = figure.subplots(len(models), len(names), squeeze=False, sharex=True)
    ticks = sorted(set(points["temperature"]))
    for model, row in zip(models, panels, strict=True):
        own = points[points["model"] == model]
        for column, axes in zip(names, row, strict=True):
            for split, look in zip(splits, _looks(splits), strict=True):
                _lines(axes, own[own["split"] == split], column, split, *look, ticks)
            axes.set_title(f"{model}\n{_undefined(own, names)}".strip())
            metric = benchmark.metrics[column]
            axes.set_ylabel(metric.words or metric.heading or column)
            axes.set_xscale("log")
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
        draw_line(row[0], benchmark)
        quality_scale(row[0], own[names[0]])
        row[1].axhline(0, color="#999999", linewidth=0.8, zorder=0)
    for axes in panels[-1]:
        axes.set_xlabel("Temperature T of the entropy")
    _legend(figure, splits, method, rule, benchmark, faint=not points["best"].all())
    return figure


def best_per_temperature(points: pd.DataFrame, rule: str, benchmark: Benchmark) -> pd.DataFrame:
    """The points with columns temperature and best: whether a point is the best of its model, split and temperature.

    Best is what the selection rule says of those that are defined; among undefined points none is.

    Raises:
        InputError: if a column is missing, or a point has no temperature.
    """
    points = on_plane(points, benchmark, "search table", ["model", "split", "parameters", "chosen"])
    parameters = [json.loads(text) for text in points["parameters"]]
    if any(KEY not in values for values in parameters):
        raise InputError(f"search table: a point has no {KEY}; only searches over it can be drawn over T.")
    points = points.assign(temperature=[float(values[KEY]) for values in parameters]).reset_index(drop=True)
    groups = points.groupby(["model", "split", "temperature"], sort=False)
    best = {best_run(group, rule, benchmark)[0] for _, group in groups}
    return points.assign(best=points.index.isin([index for index in best if index is not None]))


def _looks(splits: Sequence[str]) -> list[tuple[str, str]]:
    return [SPLITS[i % len(SPLITS)] for i in range(len(splits))]


def _lines(
    axes: Axes, points: pd.DataFrame, column: str, split: str, colour: str, marker: str, temperatures: Sequence[float]
) -> None:
    # A temperature without a defined point must break the line, not be bridged by it.
    best = points[points["best"]].set_index("temperature")[column].reindex(temperatures)
    others = points[~points["best"] & np.isfinite(points[column])]
    axes.plot(best.index, best, color=colour, marker=marker, markersize=3.5, label=split)
    axes.plot(
        others["temperature"],
        others[column],
        linestyle="none",
        marker=marker,
        markersize=2.5,
        color=colour,
        alpha=0.3,
        markeredgewidth=0,
        label=f"_others {split}",
    )
    chosen = points[points["chosen"].astype(bool) & np.isfinite(points[column])]
    if chosen.empty:  # an unclipped line without a point has no extent, and would upset the layout
        return
    axes.plot(
        chosen["temperature"],
        chosen[column],
        linestyle="none",
        marker="o",
        markersize=9,
        markerfacecolor="none",
        markeredgecolor=colour,
        markeredgewidth=1.1,
        clip_on=False,
        label=f"_chosen {split}",
    )


def _undefined(points: pd.DataFrame, metrics: Sequence[str]) -> str:
    lost = ~np.isfinite(points[list(metrics)].astype(float)).all(axis=1)
    names = ", ".join(
        f"{split}\N{NO-BREAK SPACE}{count}" for split, count in points[lost]["split"].value_counts(sort=False).items()
    )
    return fill(f"{lost.sum()} of {len(points)} undefined ({names})", 40) if lost.any() else ""


def _legend(figure: Figure, splits: Sequence[str], method: str, rule: str, benchmark: Benchmark, faint: bool) -> None:
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=3.5, label=split)
        for split, (colour, marker) in zip(splits, _looks(splits), strict=True)
    ]
    handles.append(
        Line2D(
            [], [], linestyle="none", marker="o", markersize=8, color="#555555", markerfacecolor="none", label="chosen"
        )
    )
    handles += line_handle(benchmark)
    title = f"{method}, one run per point, lower is better"
    if faint:
        title += f"\nlines: best configuration at a temperature; faint: the others\nbest: {rule_words(rule, benchmark)}"
    legend(figure, handles, title)
