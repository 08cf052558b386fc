"""The plane of utility and forgetting, which several figures share, and what is best in it.

Both axes need care: −log10 of a p-value may span hundreds of decades (TOFU, Maini et al. 2024, arXiv 2401.06121), and a
collapsed model has a utility far below all others. "Best" is what the study's own selection rule says
(`lethe.selection`), among the rows that can be drawn, so that no figure praises a run that another rule would have
chosen.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from lethe.benchmarks.contract import Benchmark
from lethe.figures import style
from lethe.figures.token_text import text_width
from lethe.io import require
from lethe.selection import BUDGET, best, say

X, Y = "utility", "forgetting"
"""Columns of `on_plane`."""

COMPRESSED = "; compressed left of the dotted line"
NAMED = 3  # methods that a note on undefined rows names

RULE_WORDS = {
    "lowest_aggregate": "lowest {score}, unless another loses no utility and forgets no worse",
    "lowest_neg_log10_fq": "{best} {forgetting}",
    "lowest_neg_log10_fq_within_budget": f"{{best}} {{forgetting}} with {{loss}} ≤ {BUDGET:g}, or smallest {{loss}} if "
    "there is none",
    "highest_utility_among_forgotten": "highest utility beyond {line}, or {best} {forgetting} if there is none",
}
"""Selection rules as legends say them; see `lethe.selection.say`."""


def rule_words(rule: str, benchmark: Benchmark) -> str:
    """A selection rule as legends say it."""
    return say(RULE_WORDS[rule], benchmark)


def on_plane(rows: pd.DataFrame, benchmark: Benchmark, what: str, others: Iterable[str] = ()) -> pd.DataFrame:
    """The rows with columns utility and forgetting, the coordinates.

    Raises:
        InputError: if one of these metrics, or another column, is missing; `what` names the table.
    """
    headline = benchmark.headline
    require(rows, [headline.utility, headline.forgetting, *others], what)
    return rows.assign(**{X: rows[headline.utility], Y: rows[headline.forgetting]})


def labels(benchmark: Benchmark) -> tuple[str, str]:
    """Labels of the axes of utility and forgetting."""
    headline = benchmark.headline
    utility, forgetting = (benchmark.metrics[name].label(name) for name in (headline.utility, headline.forgetting))
    return utility, forgetting.replace(" (", "\n(")


def pass_line(benchmark: Benchmark) -> dict | None:
    """Arguments of the line beyond which runs count as having forgotten, for `Axes.axhline`; None if there is none."""
    if benchmark.headline.passed is None:
        return None
    height, words = benchmark.headline.passed
    return {"y": height, "color": "#999999", "linewidth": 0.8, "linestyle": (0, (4, 2)), "label": words}


def draw_line(axes: Axes, benchmark: Benchmark) -> None:
    """Draw that line, if there is one."""
    if line := pass_line(benchmark):
        axes.axhline(**line, zorder=0)


def line_handle(benchmark: Benchmark) -> list[Line2D]:
    """That line's entry in a legend; none if there is no line."""
    line = pass_line(benchmark)
    return [] if line is None else [Line2D([], [], **{key: value for key, value in line.items() if key != "y"})]


def drawable(rows: pd.DataFrame) -> pd.Series:
    """[rows] bool: both coordinates are finite."""
    return np.isfinite(rows[X].astype(float)) & np.isfinite(rows[Y].astype(float))


def best_run(rows: pd.DataFrame, rule: str, benchmark: Benchmark) -> tuple[object | None, str]:
    """Index of the drawable row that a selection rule picks, and why; None if no row can be drawn.

    Args:
        rows: runs `on_plane`, with a unique index and the headline's metrics.
        rule: key of `lethe.selection.RULES`.
        benchmark: whose headline the rule reads.

    Raises:
        InputError: if a column is missing.
    """
    headline = benchmark.headline
    require(rows, [X, Y, headline.loss, *filter(None, [headline.score])], "runs table")
    rows = rows[drawable(rows)]
    if rows.empty:
        return None, "nothing defined"
    return best(rows, rule, benchmark)


def panel_grid(models: Sequence[str], splits: Sequence[str], height: float) -> tuple[Figure, np.ndarray]:
    """A figure with a row of panels per model, a column per split, and the labels of its axes.

    Utility is comparable within a model, forget quality within a split, whose size sets its range.

    Args:
        models, splits: rows and columns.
        height: of a row, inches.
    """
    figure = style.new(style.WIDTH if len(splits) > 1 else 4.3, height * len(models) + 1.0)
    panels = figure.subplots(len(models), len(splits), squeeze=False, sharex="row", sharey="col")
    return figure, panels


def scale_panels(
    figure: Figure,
    panels: np.ndarray,
    models: Sequence[str],
    splits: Sequence[str],
    rows: pd.DataFrame,
    benchmark: Benchmark,
) -> None:
    """Scale and name the axes of a `panel_grid` for all rows that are drawn in it (columns model, split, X and Y)."""
    for split, axes in zip(splits, panels[0], strict=True):
        quality_scale(axes, rows.loc[rows["split"] == split, Y])
    compressed = False
    for model, row in zip(models, panels, strict=True):
        compressed |= utility_scale(row, rows.loc[rows["model"] == model, X])
    utility, forgetting = labels(benchmark)
    figure.supxlabel(utility + COMPRESSED * compressed, fontsize=8)
    figure.supylabel(forgetting, fontsize=8)


def heading(axes: Axes, title: str, notes: Iterable[str]) -> None:
    """A panel's title, and below it in grey what is not drawn."""
    note = "\n".join(filter(None, notes))
    axes.set_title(title, pad=4 + 9 * note.count("\n") + 10 * bool(note))
    look = {"ha": "center", "va": "bottom", "fontsize": style.SMALL, "color": "#555555"}
    axes.text(0.5, 1.02, note, transform=axes.transAxes, **look)


def undefined(rows: pd.DataFrame, methods: Sequence[str], what: str) -> str:
    """How many rows of a panel cannot be drawn, and whose they are; empty if all can."""
    ours = rows[rows["method"].isin(methods)]
    lost = ours[~drawable(ours)]["method"].value_counts(sort=False)
    if lost.empty:
        return ""
    names = ", ".join(f"{method} {count}" for method, count in lost.head(NAMED).items())
    names += f" and {len(lost) - NAMED} other methods" * (len(lost) > NAMED)
    return fill(f"{lost.sum()} of {len(ours)} {what} undefined ({names})", 36, break_on_hyphens=False)


def tried(axes: Axes, points: pd.DataFrame, looks: Mapping[str, style.Look]) -> None:
    """Configurations that searches tried, small and hollow; the chosen ones larger and with a dot in them."""
    drawn = points[drawable(points)]
    for method, look in looks.items():
        for point in drawn[drawn["method"] == method].to_dict("records"):
            place = {"linestyle": "none", "color": look.colour, "clip_on": False, "zorder": 2}
            axes.plot(
                point[X],
                point[Y],
                marker=look.marker,
                markersize=4.5 if point["chosen"] else 3,
                markerfacecolor="none",
                markeredgewidth=0.9 if point["chosen"] else 0.5,
                label=f"_tried {method}",
                **place,
            )
            if point["chosen"]:
                axes.plot(point[X], point[Y], marker=".", markersize=2.5, label=f"_chosen {method}", **place)


def quality_scale(axes: Axes, values: pd.Series) -> None:
    """−log10 FQ may span hundreds of decades: then linear about the 5 % line, logarithmic beyond."""
    highest = values[np.isfinite(values)].max()
    if highest > 20:
        axes.set_yscale("symlog", linthresh=2, linscale=0.8)
        axes.set_yticks([tick for tick in (0, 1, 2, 5, 10, 20, 50, 100, 200) if tick <= 1.6 * highest])
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.minorticks_off()
        axes.set_ylim(bottom=-0.5)


def utility_scale(panels: Iterable[Axes], values: pd.Series) -> bool:
    """Panels that share a utility axis: if models have collapsed, squeeze the empty range between them and the others.

    A collapsed model has less than a quarter of the median utility. From 0 to a dotted line, the axis then takes a
    sixth of its width; both parts are linear.

    Returns:
        Whether there was a range worth squeezing.
    """
    values = values[np.isfinite(values)]
    stand = values[values >= 0.25 * values.median()]
    if len(stand) == len(values) or stand.max() <= 0:
        return False
    bend = max(0.05 * math.floor(stand.min() / 0.05 - 0.2), 0.05)
    share = 0.2 * max(stand.max() - bend, 0.05) / bend  # of the left part's length that is kept
    if share > 0.5:
        return False
    ticks = [tick for tick in MaxNLocator(4).tick_values(bend, stand.max()) if bend < tick]
    for axes in panels:
        axes.set_xscale(
            "function",
            functions=(
                lambda x: np.where(x < bend, bend + (x - bend) * share, x),
                lambda x: np.where(x < bend, bend + (x - bend) / share, x),
            ),
        )
        axes.set_xticks([0, *ticks], [f"{tick:.2g}" for tick in (0, *ticks)])
        axes.axvline(bend, color="#999999", linewidth=0.8, linestyle=(0, (1, 2)), zorder=0, label="_bend")
    return True


def legend(figure: Figure, handles: Sequence[Line2D], title: str) -> None:
    """A legend above the panels, as wide as the figure allows, under a title of one or more lines."""
    made = figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=legend_columns(figure, [handle.get_label() for handle in handles]),
        columnspacing=1.0,
        handletextpad=0.4,
        handlelength=1.5,
        title=title,
        title_fontsize=style.SMALL,
    )
    made.get_title().set_multialignment("center")


def legend_columns(figure: Figure, names: Sequence[str]) -> int:
    """Columns of a legend that fit on a figure, so chosen that the last row is as full as can be."""
    entry = max(map(text_width, names)) + 30  # points, with the mark and the space about it
    most = max(1, int(72 * figure.get_figwidth() // entry))
    return math.ceil(len(names) / math.ceil(len(names) / most))
