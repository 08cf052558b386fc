"""Where each method goes while it unlearns: utility against forget quality, epoch by epoch.

Reported results are those of the last epoch; a method that passes a better point on its way there was trained for too
long, and one that is still moving was not trained for long enough.
"""

import math
from collections.abc import Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lethe.figures import style
from lethe.figures.tradeoff import (
    COMPRESSED,
    JUDGED,
    PASS_HEIGHT,
    PASS_LINE,
    RULE_WORDS,
    UTILITY,
    Y,
    best_run,
    drawable,
    legend,
    quality_scale,
    utility_scale,
)
from lethe.io import require
from lethe.metrics import METRICS
from lethe.tables import REFERENCES

UTILITIES = {
    "model_utility": UTILITY,
    "utility_teacher_forced": "Utility of teacher-forced metrics (higher is better)",
}
TOGETHER = 6  # methods in one panel; with more, each gets its own
COLUMNS = 4
HOLLOW = {"marker": "o", "markersize": 5, "markerfacecolor": "white", "markeredgewidth": 0.9}
LARGE = {"markersize": 7, "markeredgecolor": "white", "markeredgewidth": 0.5, "zorder": 4}


@style.styled
def draw(
    runs: pd.DataFrame,
    best: pd.DataFrame,
    methods: Sequence[str],
    utility: str = "model_utility",
    rule: str = "lowest_aggregate",
) -> Figure:
    """Paths over the epochs, one per seed: start as a circle, best epoch large; one model and split.

    Args:
        runs: one row per (method, seed, epoch) with the utility and neg_log10_fq; rows with method "full" and "retain"
            are reference marks. NaN or infinite = undefined: the path is broken and the epoch counted.
        best: `best_epochs` of them, by the same utility and rule.
        methods: the study's methods, in the order that fixes their colours.
        utility: column of the horizontal axis, one of `UTILITIES`.
        rule: `selection.rule`; the legend says it, or what was taken instead if that was the same for all runs.

    Raises:
        InputError: if a column is missing.
    """
    require(runs, ["method", "seed", "epoch", utility, Y], "trajectory table")
    require(best, ["method", "seed", "why", utility, Y], "table of best epochs")
    runs = runs.reset_index(drop=True)
    groups = [list(methods)] if len(methods) <= TOGETHER else [[method] for method in methods]
    columns = min(COLUMNS, len(groups))
    rows = math.ceil(len(groups) / columns)
    figure = style.new(style.WIDTH if columns > 1 else 4.5, (1.35 * rows + 1.2) if columns > 1 else 3.9)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for place, (axes, group) in enumerate(zip(panels.flat, groups, strict=False)):
        _panel(axes, runs, group, style.looks(methods), best, utility)
        note = _undefined(runs[runs["method"].isin(group)], utility, names=columns == 1)
        axes.set_title("\n".join(filter(None, [*(group if columns > 1 else []), note])))
        if place + columns >= len(groups):
            axes.tick_params(labelbottom=True)
    for axes in panels.flat[len(groups) :]:
        axes.remove()
    quality_scale(panels[0, 0], runs[Y])
    compressed = utility_scale(panels.flat[: len(groups)], runs[utility])
    figure.supxlabel(UTILITIES[utility] + COMPRESSED * compressed, fontsize=8)
    figure.supylabel("−log₁₀ forget quality (lower is better)", fontsize=8)
    _legend(figure, methods if columns == 1 else [], _decided_by(best, rule))
    return figure


def best_epochs(runs: pd.DataFrame, utility: str = "model_utility", rule: str = "lowest_aggregate") -> pd.DataFrame:
    """The best epoch of every run by a selection rule, which may have to fall back on what is defined.

    Epoch 0 is the starting model and does not compete. A run without a defined epoch has a row with epoch NA.

    Args:
        runs: one row per (method, seed, epoch) with the utility, neg_log10_fq, aggregate and forget_quality.
        utility: column that stands for the model utility in the rule.
        rule: key of `lethe.selection.RULES`.

    Returns:
        Columns model, split, method, seed, epoch, why (what decided), then every metric that `runs` has.

    Raises:
        InputError: if a column is missing.
    """
    keys = ["model", "split", "method", "seed"]
    require(runs, [*keys, "epoch", utility, Y, *JUDGED], "trajectory table")
    metrics = [name for name in METRICS if name in runs]
    runs = runs[~runs["method"].isin(REFERENCES)].reset_index(drop=True)
    rows = []
    for names, run in runs[runs["epoch"] > 0].groupby(keys, sort=False):
        index, why = best_run(run, rule, utility)
        row = {**dict(zip(keys, names, strict=True)), "why": why}
        if index is None:
            rows.append({**row, "epoch": None, **dict.fromkeys(metrics, np.nan)})
        else:
            rows.append({**row, "epoch": run.loc[index, "epoch"], **run.loc[index, metrics]})
    return pd.DataFrame(rows, columns=[*keys, "epoch", "why", *metrics]).astype({"seed": "Int64", "epoch": "Int64"})


def _decided_by(best: pd.DataFrame, rule: str) -> str:
    """What made epochs best: with the cheap suite, e.g., Agg. is undefined in all of them, and never decides."""
    reasons = set(best.loc[best["epoch"].notna(), "why"])
    if len(reasons) != 1:
        return RULE_WORDS[rule]
    return reasons.pop().replace("log10", "log₁₀").replace(": ", ", so ")


def _panel(
    axes: Axes,
    runs: pd.DataFrame,
    methods: Sequence[str],
    looks: dict[str, style.Look],
    best: pd.DataFrame,
    utility: str,
) -> None:
    axes.axhline(PASS_HEIGHT, **PASS_LINE, zorder=0)
    for method in methods:
        look = looks[method]
        for seed, run in runs[runs["method"] == method].groupby("seed"):
            run = run.sort_values("epoch")
            path = run[[utility, Y]].astype(float).where(lambda frame: np.isfinite(frame))
            line = {"color": look.colour, "label": method}
            axes.plot(path[utility], path[Y], marker=look.marker, markersize=2, linewidth=0.8, alpha=0.8, **line)
            top = best[(best["method"] == method) & (best["seed"] == seed)]
            _mark(axes, path[(run["epoch"] == 0).to_numpy()], utility, "_start", line, look=HOLLOW)
            _mark(axes, top, utility, "_best", line, look={"marker": look.marker, **LARGE})
    for name in REFERENCES:
        look = style.looks(REFERENCES)[name]
        for mark in runs[runs["method"] == name].to_dict("records"):
            if np.isfinite(mark[utility]) and np.isfinite(mark[Y]):
                axes.plot(
                    mark[utility],
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


def _mark(axes: Axes, rows: pd.DataFrame, utility: str, label: str, line: dict, look: dict) -> None:
    drawn = rows[drawable(rows, utility)]
    if len(drawn):  # an unclipped line without a point has no extent, and would upset the layout
        axes.plot(drawn[utility], drawn[Y], linestyle="none", clip_on=False, **line | {"label": label} | look)


def _undefined(runs: pd.DataFrame, utility: str, names: bool) -> str:
    lost = runs[~drawable(runs, utility)]
    if lost.empty:
        return ""
    who = ", ".join(
        f"{method}\N{NO-BREAK SPACE}{count}" for method, count in lost["method"].value_counts(sort=False).items()
    )
    return fill(
        f"{len(lost)} of {len(runs)} epochs undefined" + (f" ({who})" if names else ""), 60, break_on_hyphens=False
    )


def _legend(figure: Figure, methods: Sequence[str], decided: str) -> None:
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
        Line2D([], [], **PASS_LINE),
    ]
    legend(figure, handles, f"one path per seed; best: {decided}")
