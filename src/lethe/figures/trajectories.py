"""Where each method goes while it unlearns: utility against forget quality, epoch by epoch.

Reported results are those of the last epoch; a method that passes a better point on its way there was trained for too
long, and one that is still moving was not trained for long enough.

Without generations (cheap suite) TOFU's model utility is undefined, and with it ΔMU and Agg., which selection rules
read. The rules then judge by the utility that is drawn in its place (`Headline.cheap_utility`), and by the ΔMU and Agg.
of that one: −log10 FQ alone would praise whatever forgets most, at any price.
"""

import math
from collections.abc import Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lethe.benchmarks import BENCHMARKS
from lethe.benchmarks.contract import Benchmark
from lethe.evaluation.runs import read_runs
from lethe.evaluation.substitute import by_substitute
from lethe.figures import style
from lethe.figures.plane import (
    COMPRESSED,
    X,
    Y,
    best_run,
    draw_line,
    drawable,
    labels,
    legend,
    line_handle,
    quality_scale,
    rule_words,
    utility_scale,
)
from lethe.io import require
from lethe.tables.main import REFERENCES
from lethe.target import Target

TOGETHER = 6  # methods in one panel; with more, each gets its own
COLUMNS = 4
TITLE = 90  # characters in a line of the legend's title, which fit on the narrowest figure
HOLLOW = {"marker": "o", "markersize": 5, "markerfacecolor": "white", "markeredgewidth": 0.9}
LARGE = {"markersize": 7, "markeredgecolor": "white", "markeredgewidth": 0.5, "zorder": 4}


def make(source, settings, target: Target) -> None:
    """From the runs' measurements of every epoch, their paths, and a CSV of their best epochs."""
    runs, benchmark = read_runs(source.trajectory), BENCHMARKS[settings.task]
    best = best_epochs(runs, settings.utility, settings.rule, benchmark=benchmark)
    target.csv(best, "best_epochs")
    style.save(draw(runs, best, settings.methods, settings.utility, settings.rule, benchmark=benchmark), target.stem())


@style.styled
def draw(
    runs: pd.DataFrame,
    best: pd.DataFrame,
    methods: Sequence[str],
    utility: str | None = None,
    rule: str = "lowest_aggregate",
    *,
    benchmark: Benchmark,
) -> Figure:
    """Paths over the epochs, one per seed: start as a circle, best epoch large; one model and split.

    Args:
        runs: one row per (method, seed, epoch) with the utility and the headline's forgetting; rows with method "full"
            and "retain" are reference marks. NaN or infinite = undefined: the path is broken and the epoch counted.
        best: `best_epochs` of them, by the same utility and rule.
        methods: the study's methods, in the order that fixes their colours.
        utility: column of the horizontal axis: the headline's `utility` (None) or `cheap_utility`.
        rule: `selection.rule`; the legend says it, or what was taken instead if that was the same for all runs.
        benchmark: whose headline is drawn.

    Raises:
        InputError: if a column is missing.
    """
    forgetting, utility = benchmark.headline.forgetting, utility or benchmark.headline.utility
    require(runs, ["method", "seed", "epoch", utility, forgetting], "trajectory table")
    require(best, ["method", "seed", "why", utility, forgetting], "table of best epochs")
    runs = _with_coordinates(runs, utility, benchmark).reset_index(drop=True)
    best = _with_coordinates(best, utility, benchmark)
    groups = [list(methods)] if len(methods) <= TOGETHER else [[method] for method in methods]
    columns = min(COLUMNS, len(groups))
    rows = math.ceil(len(groups) / columns)
    figure = style.new(style.WIDTH if columns > 1 else 4.5, (1.35 * rows + 1.2) if columns > 1 else 3.9)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for place, (axes, group) in enumerate(zip(panels.flat, groups, strict=False)):
        _panel(axes, runs, group, style.looks(methods), best, benchmark)
        note = _undefined(runs[runs["method"].isin(group)], names=columns == 1)
        axes.set_title("\n".join(filter(None, [*(group if columns > 1 else []), note])))
        if place + columns >= len(groups):
            axes.tick_params(labelbottom=True)
    for axes in panels.flat[len(groups) :]:
        axes.remove()
    quality_scale(panels[0, 0], runs[Y])
    compressed = utility_scale(panels.flat[: len(groups)], runs[X])
    figure.supxlabel(benchmark.metrics[utility].label(utility) + COMPRESSED * compressed, fontsize=8)
    figure.supylabel(labels(benchmark)[1].replace("\n", " "), fontsize=8)
    _legend(figure, methods if columns == 1 else [], _decided_by(best, rule, utility, benchmark), benchmark)
    return figure


def _with_coordinates(rows: pd.DataFrame, utility: str, benchmark: Benchmark) -> pd.DataFrame:
    return rows.assign(**{X: rows[utility], Y: rows[benchmark.headline.forgetting]})


def best_epochs(
    runs: pd.DataFrame, utility: str | None = None, rule: str = "lowest_aggregate", *, benchmark: Benchmark
) -> pd.DataFrame:
    """The best epoch of every run by a selection rule, which may have to fall back on what is defined.

    Epoch 0 is the starting model and does not compete. A run without a defined epoch has a row with epoch NA.

    Args:
        runs: one row per (method, seed, epoch) with the utility and the metrics of the benchmark's headline; if the
            utility is a substitute, also rows with method "full".
        utility: column that the rule takes for the headline's utility (None: itself); see `by_substitute`.
        rule: key of `lethe.selection.RULES`.
        benchmark: whose headline is read.

    Returns:
        Columns model, split, method, seed, epoch, why (what decided), then every metric that `runs` has, as it is
        there: loss and score are of the headline's utility, also where those of a substitute decided.

    Raises:
        InputError: if a column is missing, or the full model's row.
    """
    keys = ["model", "split", "method", "seed"]
    headline, utility = benchmark.headline, utility or benchmark.headline.utility
    read = [headline.forgetting, headline.loss, *filter(None, [headline.score])]
    require(runs, [*keys, "epoch", utility, *read], "trajectory table")
    metrics = [name for name in benchmark.metrics if name in runs]
    runs = runs.reset_index(drop=True)
    judged = runs if utility == headline.utility else by_substitute(runs, utility, benchmark)
    judged = _with_coordinates(judged, headline.utility, benchmark)
    judged = judged[~judged["method"].isin(REFERENCES)]
    rows = []
    for names, run in judged[judged["epoch"] > 0].groupby(keys, sort=False):
        index, why = best_run(run, rule, benchmark)
        row = {**dict(zip(keys, names, strict=True)), "why": _said_of(why, utility, benchmark)}
        if index is None:
            rows.append({**row, "epoch": None, **dict.fromkeys(metrics, np.nan)})
        else:
            rows.append({**row, "epoch": runs.loc[index, "epoch"], **runs.loc[index, metrics]})
    return pd.DataFrame(rows, columns=[*keys, "epoch", "why", *metrics]).astype({"seed": "Int64", "epoch": "Int64"})


def _said_of(words: str, utility: str, benchmark: Benchmark) -> str:
    """Words of a rule, which speak of the headline's utility, loss and score, said of a substitute if it was judged."""
    headline, metrics = benchmark.headline, benchmark.metrics
    if utility == headline.utility:
        return words
    name = metrics[utility].said(utility)
    for metric in filter(None, (headline.score, headline.loss)):
        word = (metrics[metric].heading or metric).partition(" (")[0]
        words = words.replace(word, f"{word} of {name}")
    return words.replace(metrics[headline.utility].said(headline.utility), name)


def _decided_by(best: pd.DataFrame, rule: str, utility: str, benchmark: Benchmark) -> str:
    """What made epochs best: the rule, or, e.g., what it fell back on in all runs."""
    reasons = set(best.loc[best["epoch"].notna(), "why"])
    if len(reasons) != 1:
        return _said_of(rule_words(rule, benchmark), utility, benchmark)
    return reasons.pop().replace(": ", ", so ")


def _panel(
    axes: Axes,
    runs: pd.DataFrame,
    methods: Sequence[str],
    looks: dict[str, style.Look],
    best: pd.DataFrame,
    benchmark: Benchmark,
) -> None:
    draw_line(axes, benchmark)
    for method in methods:
        look = looks[method]
        for seed, run in runs[runs["method"] == method].groupby("seed"):
            run = run.sort_values("epoch")
            path = run[[X, Y]].astype(float).where(lambda frame: np.isfinite(frame))
            line = {"color": look.colour, "label": method}
            axes.plot(path[X], path[Y], marker=look.marker, markersize=2, linewidth=0.8, alpha=0.8, **line)
            top = best[(best["method"] == method) & (best["seed"] == seed)]
            _mark(axes, path[(run["epoch"] == 0).to_numpy()], "_start", line, look=HOLLOW)
            _mark(axes, top, "_best", line, look={"marker": look.marker, **LARGE})
    for name in REFERENCES:
        look = style.looks(REFERENCES)[name]
        for mark in runs[runs["method"] == name].to_dict("records"):
            if np.isfinite(mark[X]) and np.isfinite(mark[Y]):
                axes.plot(
                    mark[X],
                    mark[Y],
                    linestyle="none",
                    marker=look.marker,
                    color=look.colour,
                    markersize=6,
                    markeredgecolor="white",
                    markeredgewidth=0.4,
                    clip_on=False,
                    zorder=5,
                    label=name,
                )
    axes.margins(0.08, 0.12)


def _mark(axes: Axes, rows: pd.DataFrame, label: str, line: dict, look: dict) -> None:
    drawn = rows[drawable(rows)]
    if len(drawn):  # an unclipped line without a point has no extent, and would upset the layout
        axes.plot(drawn[X], drawn[Y], linestyle="none", clip_on=False, **line | {"label": label} | look)


def _undefined(runs: pd.DataFrame, names: bool) -> str:
    lost = runs[~drawable(runs)]
    if lost.empty:
        return ""
    who = ", ".join(
        f"{method}\N{NO-BREAK SPACE}{count}" for method, count in lost["method"].value_counts(sort=False).items()
    )
    return fill(
        f"{len(lost)} of {len(runs)} epochs undefined" + (f" ({who})" if names else ""), 60, break_on_hyphens=False
    )


def _legend(figure: Figure, methods: Sequence[str], decided: str, benchmark: Benchmark) -> None:
    looks = style.looks(methods) | style.looks(REFERENCES)
    plain = {"linestyle": "none", "color": "#555555"}
    handles = [
        Line2D([], [], color=looks[name].colour, marker=looks[name].marker, markersize=4, label=name)
        for name in methods
    ]
    handles += [
        Line2D([], [], linestyle="none", marker=looks[name].marker, color=looks[name].colour, markersize=5, label=name)
        for name in REFERENCES
    ]
    handles += [
        Line2D([], [], marker="o", markersize=5, markerfacecolor="white", label="start", **plain),
        Line2D([], [], marker="o", markersize=2, label="epoch", **plain),
        Line2D([], [], marker="o", markersize=6.5, markeredgecolor="white", label="best epoch", **plain),
        *line_handle(benchmark),
    ]
    legend(figure, handles, fill(f"one path per seed; best: {decided}", TITLE, break_on_hyphens=False))
