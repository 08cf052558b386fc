"""What each functional form of the weight gives for its price: forget quality over model utility.

A figure of our own, asked for by ETW's reviewers (arXiv 2604.17785; our specification §9.2). A form at one strength
says little, because forms differ in how hard they press; so each is drawn over what its search tried, beside plain
ascent with a retain term. More points tried are more chances, hence their number stands in legend and table.
"""

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lethe.figures import style
from lethe.figures.tradeoff import (
    PASS_HEIGHT,
    PASS_LINE,
    X,
    Y,
    drawable,
    heading,
    legend,
    panel_grid,
    scale_panels,
    tried,
    undefined,
)
from lethe.io import require
from lethe.tables import KEYS

LOSSES = (1, 2, 5)  # points of model utility that may be lost


@style.styled
def draw(points: pd.DataFrame, methods: Sequence[str]) -> Figure:
    """Model utility against −log10 forget quality, one line per method through the points that its search tried.

    A line runs over the values of the last swept key; other keys give a line for each of their combinations. The full
    model's utility, from which losses count, is a vertical line.

    Args:
        points: searches of all methods, one row per (model, split, method, point) with parameters (JSON), chosen,
            model_utility, neg_log10_fq, delta_mu. NaN or infinite = undefined, counted in the panel, and breaking its
            line.
        methods: the study's methods, in the order that fixes their colours.

    Raises:
        InputError: if a column is missing.
    """
    require(points, [*KEYS, "parameters", "chosen", X, Y, "delta_mu"], "search table")
    points = points.reset_index(drop=True)
    looks = {method: look for method, look in style.looks(methods).items() if method in set(points["method"])}
    models, splits = list(dict.fromkeys(points["model"])), list(dict.fromkeys(points["split"]))
    figure, panels = panel_grid(models, splits, 2.6)
    for model, row in zip(models, panels, strict=True):
        for split, axes in zip(splits, row, strict=True):
            own = points[(points["model"] == model) & (points["split"] == split)]
            _panel(axes, own, looks)
            heading(axes, f"{model}, {split}", [undefined(own, list(looks), "configurations")])
    scale_panels(figure, panels, models, splits, points)
    _legend(figure, points, looks)
    return figure


def lines(points: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The points of one search, a table per combination of all swept keys but the last, in the order of its values.

    Numbers are in ascending order, names and booleans as they are written in the config.

    Args:
        points: rows of one method, with parameters (JSON, keys in the order of the config).
    """
    values = [list(json.loads(text).values()) for text in points["parameters"]]
    last = [value[-1] for value in values]
    ordered = points.assign(_line=[json.dumps(value[:-1]) for value in values], _last=last)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in last):
        ordered = ordered.sort_values("_last", kind="stable")
    for _, line in ordered.groupby("_line", sort=False):
        yield line.drop(columns=["_line", "_last"])


def cheapest(points: pd.DataFrame, losses: Sequence[float] = LOSSES) -> pd.DataFrame:
    """How much each method forgets within a budget of utility: the lowest −log10 FQ at a loss of at most so much.

    Args:
        points: as in `draw`.
        losses: budgets, points of model utility (a point is 0.01) that may be lost against the full model.

    Returns:
        One row per model, split and method: points (tried), undefined (of them), and `neg_log10_fq_within_<loss>`, NaN
        where no point stays within the budget.

    Raises:
        InputError: if a column is missing.
    """
    require(points, [*KEYS, X, Y, "delta_mu"], "search table")
    rows = []
    for names, own in points.groupby(KEYS, sort=False):
        defined = own[drawable(own)]
        row = {**dict(zip(KEYS, names, strict=True)), "points": len(own), "undefined": len(own) - len(defined)}
        for loss in losses:
            row[f"neg_log10_fq_within_{loss:g}"] = defined.loc[defined["delta_mu"] <= loss, Y].min()
        rows.append(row)
    return pd.DataFrame(rows)


def _panel(axes: Axes, points: pd.DataFrame, looks: dict[str, style.Look]) -> None:
    axes.axhline(PASS_HEIGHT, **PASS_LINE, zorder=0)
    full = points[X] + points["delta_mu"] / 100
    if full.notna().any():
        axes.axvline(full.median(), color=style.colour("full"), linewidth=0.8, zorder=0, label="full")
    for method, look in looks.items():
        for line in lines(points[points["method"] == method]):
            path = line[[X, Y]].astype(float).where(np.isfinite)
            axes.plot(path[X], path[Y], color=look.colour, linestyle=look.line, linewidth=0.9, label=method)
    tried(axes, points, looks)
    axes.margins(0.08, 0.12)


def _legend(figure: Figure, points: pd.DataFrame, looks: dict[str, style.Look]) -> None:
    handles = []
    for method, look in looks.items():
        own = points[points["method"] == method]
        count = len(own) // len(own[["model", "split"]].drop_duplicates())
        mark = {"marker": look.marker, "markersize": 4, "markerfacecolor": "none"}
        name = f"{method} ({count})"
        handles.append(Line2D([], [], color=look.colour, linestyle=look.line, linewidth=0.9, label=name, **mark))
    handles.append(Line2D([], [], **PASS_LINE))
    handles.append(Line2D([], [], color=style.colour("full"), linewidth=0.8, label="utility of the full model"))
    legend(
        figure,
        handles,
        "one run per configuration tried (their number in brackets)\n"
        "lines: over the last key searched; with a dot: chosen",
    )
