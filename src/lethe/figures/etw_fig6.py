"""ETW Fig. 6: what a run pays in model utility for the forget quality it reaches.

arXiv 2604.17785, §5 of our specification. Every run is shown, because a mean of p-values hides the runs that
fail; and so is every configuration that a search has tried, because the best of many looks better than it is.
"""

import math
from collections.abc import Iterable, Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from lethe.figures import style
from lethe.figures.token_text import text_width
from lethe.tables import REFERENCES, require

PASS = -math.log10(0.05)  # a run above this is told apart from the retain model at the 5 % level
COMPRESSED = "; compressed left of the dotted line"
PASS_LINE = {"color": "#999999", "linewidth": 0.8, "linestyle": (0, (4, 2))}
X, Y = "model_utility", "neg_log10_fq"
NAMED = 3  # methods that a note on undefined runs names
MANY = 10  # methods; with more, marks are smaller and panels higher


@style.styled
def draw(runs: pd.DataFrame, methods: Sequence[str] | None = None, points: pd.DataFrame | None = None) -> Figure:
    """Model utility against −log10 forget quality; rows of panels are models, columns are splits.

    Args:
        runs: one row per (model, split, method, seed) with model_utility, neg_log10_fq and aggregate; rows
            with method "full" and "retain" are reference marks. NaN or infinite = undefined, counted in the
            panel.
        methods: the study's methods, in the order that fixes their colours; by default that of `runs`.
        points: configurations tried, one row per (model, split, method, point) with model_utility, neg_log10_fq and
            chosen (bool); drawn small and hollow, the chosen one with a dot in it. None: nothing was searched.

    Raises:
        InputError: if a column is missing.
    """
    require(runs, ["model", "split", "method", X, Y, "aggregate"], "runs table")
    if points is None:
        points = pd.DataFrame(columns=["model", "split", "method", "chosen", X, Y]).astype({X: float, Y: float})
    require(points, ["model", "split", "method", "chosen", X, Y], "search table")
    runs, points = runs.reset_index(drop=True), points.reset_index(drop=True)
    methods = list(dict.fromkeys(runs["method"]) if methods is None else methods)
    methods = [method for method in methods if method not in REFERENCES]
    models, splits = list(dict.fromkeys(runs["model"])), list(dict.fromkeys(runs["split"]))
    figure = style.new(
        style.WIDTH if len(splits) > 1 else 4.3, (2.3 if len(methods) <= MANY else 2.9) * len(models) + 1.0
    )
    # Utility is comparable within a model, forget quality within a split, whose size sets its range.
    panels = figure.subplots(len(models), len(splits), squeeze=False, sharex="row", sharey="col")
    for model, row in zip(models, panels, strict=True):
        for split, axes in zip(splits, row, strict=True):
            own = runs[(runs["model"] == model) & (runs["split"] == split)]
            tried = points[(points["model"] == model) & (points["split"] == split)]
            _tried(axes, tried, methods)
            _panel(axes, own, methods)
            notes = [_undefined(own, methods, "runs"), _undefined(tried, methods, "configurations")]
            note = "\n".join(filter(None, notes))
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
        quality_scale(axes, pd.concat([frame.loc[frame["split"] == split, Y] for frame in (runs, points)]))
    compressed = False
    for model, row in zip(models, panels, strict=True):
        utility = pd.concat([frame.loc[frame["model"] == model, X] for frame in (runs, points)])
        compressed |= utility_scale(row, utility)
    figure.supxlabel("Model utility (higher is better)" + COMPRESSED * compressed, fontsize=8)
    figure.supylabel("−log₁₀ forget quality\n(lower is better)", fontsize=8)
    _legend(figure, methods, set(runs["method"]), searched=len(points) > 0)
    return figure


def best_run(runs: pd.DataFrame, utility: str = X) -> int | None:
    """Index of the best drawable row: lowest aggregate, or lowest −log10 FQ if none is defined; None without any."""
    runs = runs[np.isfinite(runs[utility]) & np.isfinite(runs[Y])]
    if runs.empty:
        return None
    return runs.sort_values(["aggregate", Y], kind="stable", na_position="last").index[0]


def _tried(axes: Axes, points: pd.DataFrame, methods: Sequence[str]) -> None:
    drawn = points[np.isfinite(points[X]) & np.isfinite(points[Y])]
    for method, look in style.looks(methods).items():
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


def _panel(axes: Axes, runs: pd.DataFrame, methods: Sequence[str]) -> None:
    axes.axhline(PASS, **PASS_LINE)
    looks = style.looks(methods) | style.looks(REFERENCES)
    large, small = (8.5, 4.5) if len(methods) <= MANY else (6.5, 3.5)
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


def _undefined(runs: pd.DataFrame, methods: Sequence[str], what: str) -> str:
    """How many rows of a panel cannot be drawn, and whose they are; empty if all can."""
    ours = runs[runs["method"].isin(methods)]
    lost = ours[~(np.isfinite(ours[X]) & np.isfinite(ours[Y]))]["method"].value_counts(sort=False)
    if lost.empty:
        return ""
    names = ", ".join(f"{method} {count}" for method, count in lost.head(NAMED).items())
    names += f" and {len(lost) - NAMED} other methods" * (len(lost) > NAMED)
    return fill(f"{lost.sum()} of {len(ours)} {what} undefined ({names})", 36, break_on_hyphens=False)


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


def legend_columns(figure: Figure, names: Sequence[str]) -> int:
    """Columns of a legend that fit on a figure, so chosen that the last row is as full as can be."""
    entry = max(map(text_width, names)) + 30  # points, with the mark and the space about it
    most = max(1, int(72 * figure.get_figwidth() // entry))
    return math.ceil(len(names) / math.ceil(len(names) / most))


def _legend(figure: Figure, methods: Sequence[str], present: set[str], searched: bool) -> None:
    looks = style.looks(methods) | style.looks(REFERENCES)
    names = [*methods, *(name for name in REFERENCES if name in present)]
    handles = [
        Line2D([], [], linestyle="none", marker=looks[n].marker, color=looks[n].colour, markersize=5, label=n)
        for n in names
    ]
    handles.append(Line2D([], [], **PASS_LINE, label="p = 0.05"))
    title = "one mark per run; larger: best run of a method\n(lowest Agg., or lowest −log₁₀ FQ if Agg. is undefined)"
    if searched:
        title += "\nhollow: configurations tried, with a seed of their own; dotted: chosen"
    legend = figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=legend_columns(figure, [handle.get_label() for handle in handles]),
        columnspacing=1.0,
        handletextpad=0.4,
        handlelength=1.5,
        title=title,
        title_fontsize=style.SMALL,
    )
    legend.get_title().set_multialignment("center")
