"""ETW Fig. 3: how each method's weights lie on informative and on structural tokens.

arXiv 2604.17785; docs/choices.md#figures-of-etw. A method that knows what to forget separates the two histograms.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from lethe.analysis.auc import labelled
from lethe.figures import style
from lethe.io import read_table, require
from lethe.target import Target
from lethe.tokens.table import considered

BINS = 30
COLUMNS = 3
CORE = ("ETW", "SCN", "SCE", "SatImp", "Imp", "WGA", "TNPO")  # compared in the paper
SHOWN = 8


def make(source, settings, target: Target) -> None:
    """From a token table, the histograms of the paper's methods."""
    table = considered(read_table(source.tokens[0]), settings.eos)
    style.save(draw(table, core(settings.methods), settings.label), target.stem())


def core(methods: Sequence[str]) -> list[str]:
    """At most `SHOWN` methods of a study: those that the paper compares, then others in the study's order.

    The rest is in Fig. 7.
    """
    named = [method for method in CORE if method in methods]
    return [*named, *(method for method in methods if method not in named)][:SHOWN]


@style.styled
def draw(table: pd.DataFrame, methods: Sequence[str], label: str) -> Figure:
    """Histograms of ω per method, each kind of token with unit area; dashed lines mark the two means.

    Densities are on a logarithmic axis: on a memorised model nearly all weights sit in one bin, and what
    tells methods apart is the tail.

    Args:
        table: token table of one model, with `weight_<method>` columns.
        methods: one panel each, bins common to both kinds of token.
        label: label source.
    """
    require(table, [f"weight_{method}" for method in methods], "token table")
    kept, informative = labelled(table, label)
    columns = min(COLUMNS, len(methods))
    rows = math.ceil(len(methods) / columns)
    figure = style.new(style.WIDTH, 1.65 * rows + 0.35)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, method in zip(panels.flat, methods, strict=False):
        panel(axes, kept[f"weight_{method}"].to_numpy(float), informative)
        axes.set_title(method)
    for axes in panels.flat[len(methods) :]:
        axes.remove()
    for axes in panels[:, 0]:
        axes.set_ylabel("Density (log)")
    for column in range(columns):
        last = max(row for row in range(rows) if row * columns + column < len(methods))
        panels[last, column].set_xlabel("Token weight ω")
    legend(figure, label)
    return figure


def legend(figure: Figure, label: str) -> None:
    """One legend for all panels; a panel without values has nothing to offer to it."""
    entries = {n: h for axes in figure.axes for h, n in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside upper center", ncols=4, title=f"labels: {label}")


def bin_edges(weights: np.ndarray) -> np.ndarray:
    """Edges of equal bins over [n] weights; one bin of width 1 about a value that all tokens share."""
    low, high = weights.min(), weights.max()
    if high - low <= 1e-6 * max(abs(high), 1e-30):
        return np.array([low - 0.5, low + 0.5])
    return np.linspace(low, high, BINS + 1)


def panel(axes: Axes, weights: np.ndarray, informative: np.ndarray, what: str = "weights") -> None:
    """Two overlaid histograms of [n] values, of informative and of structural tokens ([n] bool)."""
    defined = np.isfinite(weights)
    if not defined.all() or not len(weights):
        axes.text(0.5, 0.5, f"undefined {what}", transform=axes.transAxes, ha="center", fontsize=style.SMALL)
        return
    edges = bin_edges(weights)
    kinds = [("structural", ~informative, style.STRUCTURAL), ("informative", informative, style.INFORMATIVE)]
    for name, chosen, colour in kinds:
        if not chosen.any():
            continue
        axes.hist(weights[chosen], edges, density=True, histtype="stepfilled", color=colour, alpha=0.45, label=name)
        axes.hist(weights[chosen], edges, density=True, histtype="step", color=colour, linewidth=0.9)
    for phase, (name, chosen, colour) in enumerate(kinds):
        if chosen.any():
            # Dashes that take turns, so that both lines show where the means coincide.
            dashes = (3 * phase, (3, 3))
            axes.axvline(weights[chosen].mean(), color=colour, linestyle=dashes, linewidth=1.3, label=f"mean, {name}")
    axes.set_yscale("log")
    densities = np.concatenate([np.histogram(weights[c], edges, density=True)[0] for _, c, _ in kinds if c.any()])
    lowest, highest = np.log10(densities[densities > 0].min()), np.log10(densities.max())
    axes.set_ylim(10 ** (np.ceil(lowest) - 1), 10 ** (np.floor(highest) + 1))
    axes.yaxis.set_minor_formatter(NullFormatter())
