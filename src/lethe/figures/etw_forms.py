"""What each functional form of the weight gives for its price: forget quality over model utility.

A figure of our own, asked for by ETW's reviewers (docs/choices.md#functional-forms). A form at one strength says
little, because forms differ in their total weight; so each is drawn over what its search tried, in a panel of its own,
and held against plain ascent with a retain term, which all panels repeat in grey. More points tried are more chances,
hence their number stands in title and table.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lethe.benchmarks import BENCHMARKS
from lethe.benchmarks.contract import Benchmark
from lethe.evaluation.runs import read_runs
from lethe.figures import style
from lethe.figures.plane import (
    COMPRESSED,
    X,
    Y,
    draw_line,
    drawable,
    heading,
    labels,
    legend,
    legend_columns,
    line_handle,
    on_plane,
    quality_scale,
    tried,
    utility_scale,
)
from lethe.tables.main import KEYS
from lethe.target import Target

LOSSES = (1, 2, 5)  # points of model utility that may be lost
COLUMNS = 4
NARROW = 3  # columns from which panels have room for a few ticks only
TITLE = 18  # characters per inch of the legend's title
GREY = {"color": "#8C8C8C", "marker": ".", "markersize": 3.5, "markeredgewidth": 0, "linewidth": 0.7}
FULL = {"color": style.colour("full"), "linewidth": 0.6}


Dashes = str | tuple[int, tuple[float, ...]]
"""A line style of matplotlib."""

# Each shows its pattern within a legend's handle, 10 points long; of more, no eye could tell them apart.
DASHES: list[Dashes] = [
    "solid",
    *((0, dashes) for dashes in [(3.5, 1.5), (1, 1.2), (5, 1.2, 1, 1.2), (3, 1, 1, 1, 1, 1)]),
    *((0, dashes) for dashes in [(7, 2), (1, 3), (5, 1.2, 2, 1.2)]),
]


def make(source, settings, target: Target) -> None:
    """From the searches of one model and split, a panel for each functional form and a CSV of what each gives."""
    points = read_runs(source.search)
    points = points[points["method"].isin(settings.form_sweeps)]
    benchmark = BENCHMARKS[settings.task]
    target.csv(cheapest(points, benchmark))
    style.save(draw(points, settings.methods, settings.form_references, benchmark=benchmark), target.stem())


@style.styled
def draw(points: pd.DataFrame, methods: Sequence[str], reference: Sequence[str], *, benchmark: Benchmark) -> Figure:
    """Utility against forgetting of one model and split: a panel per method, with all that it tried.

    A line runs over the values of the last swept key; other keys give a line for each of their combinations, with the
    same dashes in all panels (`line_styles`). The full model's utility, from which losses count, is a vertical line.

    Args:
        points: searches of one model and split, one row per (method, point) with parameters (JSON), chosen, and the
            headline's utility, forgetting and loss. NaN or infinite = undefined: breaks its line, and is counted
            above the panel, or in the legend if it is the reference's.
        methods: the study's methods, in the order that fixes their colours and panels.
        reference: methods that all panels show in grey; they have panels of their own only if no other is searched.

        benchmark: whose headline is drawn.

    Raises:
        InputError: if a column is missing.
    """
    loss = benchmark.headline.loss
    points = on_plane(points, benchmark, "search table", ["method", "parameters", "chosen", loss])
    points = points.reset_index(drop=True)
    searched = [method for method in style.looks(methods) if method in set(points["method"])]
    shown = [method for method in searched if method not in reference] or searched
    grey = points[points["method"].isin(set(searched) - set(shown))]
    dashes = line_styles(points)
    handles = _handles(grey, dashes, benchmark)
    figure, panels, columns = _grid(len(shown), handles)
    full = (points[X] + points[loss] / 100).median()
    for axes, method in zip(panels, shown, strict=True):
        own = points[points["method"] == method]
        _panel(axes, {method: style.looks(methods)[method]}, own, grey, dashes, full, benchmark)
        heading(axes, f"{method} ({len(own)})", [_undefined(own)])
    compressed = _scale(panels, points, narrow=columns >= NARROW)
    utility, forgetting = labels(benchmark)
    figure.supxlabel(utility + COMPRESSED * compressed, fontsize=8)
    figure.supylabel(forgetting.replace("\n", " "), fontsize=8)
    legend(figure, handles, fill(_title(points, dashes), int(TITLE * figure.get_figwidth())))
    return figure


def combination(parameters: str) -> str:
    """What a point has of the swept keys but the last, e.g. "temperature = 1"; empty if there is no other key.

    Keys are given by their last part, unless two of them share it.

    Args:
        parameters: JSON, keys in the order of the config.
    """
    others = _others(parameters)
    return ", ".join(
        f"{name} = {value}" if isinstance(value, str | bool) else f"{name} = {value:g}" for name, value in others
    )


def line_styles(points: pd.DataFrame) -> dict[str, Dashes]:
    """Dashes of each `combination`, in ascending order of its values; none if there are more of them than `DASHES`."""
    others = {combination(parameters): _others(parameters) for parameters in points["parameters"]}
    ranks = {
        name: [(key, isinstance(value, str), value) for key, value in values] for name, values in others.items() if name
    }
    if len(ranks) > len(DASHES):
        return {}
    return dict(zip(sorted(ranks, key=ranks.__getitem__), DASHES, strict=False))


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


def cheapest(points: pd.DataFrame, benchmark: Benchmark, losses: Sequence[float] = LOSSES) -> pd.DataFrame:
    """How much each method forgets within a budget of utility: the best forgetting at a loss of at most so much.

    Args:
        points: as in `draw`, with model and split.
        benchmark: whose headline is read.
        losses: budgets, points of model utility (a point is 0.01) that may be lost against the full model.

    Returns:
        One row per model, split and method: points (tried), undefined (of them), and `<forgetting>_within_<loss>`, NaN
        where no point stays within the budget.

    Raises:
        InputError: if a column is missing.
    """
    headline = benchmark.headline
    cost = benchmark.metrics[headline.forgetting].cost
    points = on_plane(points, benchmark, "search table", [*KEYS, headline.loss])
    rows = []
    for names, own in points.groupby(KEYS, sort=False):
        defined = own[drawable(own)]
        row = {**dict(zip(KEYS, names, strict=True)), "points": len(own), "undefined": len(own) - len(defined)}
        for loss in losses:
            within = defined[defined[headline.loss] <= loss]
            best = cost(within[Y]).astype(float).sort_values(kind="stable").index[:1]
            row[f"{headline.forgetting}_within_{loss:g}"] = within.loc[best[0], Y] if len(best) else math.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _others(parameters: str) -> list[tuple[str, object]]:
    keys = list(json.loads(parameters).items())[:-1]
    names = [_last_part(key) for key, _ in keys]
    clash = len(set(names)) < len(names)
    return [(key if clash else _last_part(key), value) for key, value in keys]


def _last_part(key: str) -> str:
    return key.rpartition(".")[2]


def _grid(count: int, handles: Sequence[Line2D]) -> tuple[Figure, list[Axes], int]:
    """A figure with so many panels on shared axes, as even rows of at most `COLUMNS`, and with room for the legend."""
    rows = math.ceil(count / COLUMNS)
    columns = math.ceil(count / rows)
    figure = style.new(style.WIDTH if columns > 1 else 4.5, 1.0)
    entries = math.ceil(len(handles) / legend_columns(figure, [handle.get_label() for handle in handles]))
    figure.set_figheight(rows * min(0.7 + 3 / columns, 2.6) + 0.75 + 0.16 * entries)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[count:]:
        axes.remove()
    panels = list(grid.flat[:count])
    for axes in panels[-columns:]:
        axes.tick_params(labelbottom=True)
    return figure, panels, columns


def _scale(panels: Sequence[Axes], points: pd.DataFrame, narrow: bool) -> bool:
    """Scale the shared axes, with every other tick in narrow panels; whether a range of utility is squeezed."""
    panels[0].xaxis.set_major_locator(MaxNLocator(4 if narrow else 8, steps=[1, 2, 5, 10]))
    quality_scale(panels[0], points[Y])
    compressed = utility_scale(panels, points[X])
    if narrow and panels[0].get_yscale() != "linear":
        panels[0].set_yticks(panels[0].get_yticks()[::2])
    if narrow and compressed:
        zero, *ticks = panels[0].get_xticks()
        ticks = [zero, *ticks[1::2]]
        panels[0].set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
    return compressed


def _panel(
    axes: Axes,
    look: Mapping[str, style.Look],
    own: pd.DataFrame,
    grey: pd.DataFrame,
    dashes: Mapping[str, Dashes],
    full: float,
    benchmark: Benchmark,
) -> None:
    draw_line(axes, benchmark)
    if math.isfinite(full):
        axes.axvline(full, **FULL, zorder=0, label="full")
    for method, line, pattern in _lines(grey, dashes):
        axes.plot(line[X], line[Y], **GREY, linestyle=pattern, zorder=1, label=method)
    for method, line, pattern in _lines(own, dashes):
        axes.plot(line[X], line[Y], color=look[method].colour, linestyle=pattern, linewidth=1, label=method)
    tried(axes, own, look)
    axes.margins(0.08, 0.12)


def _lines(points: pd.DataFrame, dashes: Mapping[str, Dashes]) -> Iterator[tuple[str, pd.DataFrame, Dashes]]:
    for method, tried_by in points.groupby("method", sort=False):
        for line in lines(tried_by):
            path = line[[X, Y]].astype(float).where(np.isfinite)
            yield method, path, dashes.get(combination(line["parameters"].iloc[0]), "solid")


def _undefined(points: pd.DataFrame) -> str:
    lost = int((~drawable(points)).sum())
    return f"{lost} of {len(points)} undefined" if lost else ""


def _handles(grey: pd.DataFrame, dashes: Mapping[str, Dashes], benchmark: Benchmark) -> list[Line2D]:
    handles = []
    if len(grey):
        names = [_counted(method, own) for method, own in grey.groupby("method", sort=False)]
        handles.append(Line2D([], [], **GREY, label=", ".join(names)))
    for name, pattern in dashes.items():
        handles.append(Line2D([], [], color="#333333", linestyle=pattern, linewidth=1, label=name))
    mark = {"linestyle": "none", "color": "#333333", "markeredgewidth": 0.5}
    return [
        *handles,
        Line2D([], [], **mark, marker="$\\odot$", markersize=6.5, label="chosen"),
        *line_handle(benchmark),
        Line2D([], [], **mark | FULL, marker="|", markersize=9, label="utility of the full model"),
    ]


def _counted(method: str, points: pd.DataFrame) -> str:
    lost = _undefined(points)
    return f"{method} ({lost})" if lost else f"{method} ({len(points)})"


def _title(points: pd.DataFrame, dashes: Mapping[str, Dashes]) -> str:
    *others, last = dict.fromkeys(_last_part(list(json.loads(text))[-1]) for text in points["parameters"])
    keys = f"{', '.join(others)} or {last}" if others else last
    title = f"one run per configuration tried (their number in brackets); lines: over {keys}"
    if not dashes and any(map(combination, points["parameters"])):
        title += ", one for each combination of the other keys"
    return title
