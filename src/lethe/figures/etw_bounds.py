"""Entropy against confidence: tokens of equal probability differ in entropy, and by how much they could.

ETW (arXiv 2604.17785) analyses the bounds H_min(p) and H_max(p); docs/choices.md#bounds-of-the-entropy derives them.
On a memorised model all p are close to 1 and both bounds run to 0 together, so that the room between them is hard to
see. Divided by the remaining probability 1 − p they lie ln(|V| − 1) apart everywhere: that is the right-hand panel.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lethe.analysis.auc import labelled
from lethe.analysis.bounds import RESOLUTION, maximum_entropy, minimum_entropy, summary, vocabulary_size
from lethe.figures import style
from lethe.io import read_table, require
from lethe.target import Target
from lethe.tokens.table import considered

BOUNDS = {"H_max": ("#333333", "-"), "H_min": ("#333333", "--")}
TICKS = [(0.9999, "0.9999"), (0.999, "0.999"), (0.99, "0.99"), (0.9, "0.9"), (0.5, "0.5"), (0.01, "0.01")]


def make(source, settings, target: Target) -> None:
    """From the token table and the starting model of each model, the figure and a CSV of its numbers."""
    models = [model for model, _ in settings.places]
    kept = (considered(read_table(path), settings.eos) for path in source.tokens)
    tables = dict(zip(models, kept, strict=True))
    sizes = dict(zip(models, map(vocabulary_size, source.starting), strict=True))
    numbers = pd.DataFrame({"model": model, **summary(tables[model], sizes[model])} for model in models)
    target.csv(numbers)
    style.save(draw(tables, numbers, settings.label), target.stem())


@style.styled
def draw(tables: Mapping[str, pd.DataFrame], numbers: pd.DataFrame, label: str) -> Figure:
    """One row per model: entropy H (nats, T = 1), and H / (1 − p), of every answer token over −ln p.

    Tokens that the label source says nothing about are grey. What has no place on the logarithmic axes is not drawn
    but counted in the row's title: tokens with −ln p below fp32's resolution, whose place is rounding, with H ≤ 0, or
    undefined.

    Args:
        tables: model -> token table with logprob, entropy_T1.0 and `informative_<label>`.
        numbers: `lethe.analysis.bounds.summary` of every model, with a column `model` added.
        label: label source.

    Raises:
        InputError: if a column is missing.
    """
    require(numbers, ["model", "vocabulary", "tokens", "ratio", "possible"], "numbers")
    figure = style.new(style.WIDTH, 2.75 * len(tables) + 0.55)
    rows = figure.subfigures(len(tables), 1, squeeze=False)[:, 0]
    for (model, table), row in zip(tables.items(), rows, strict=True):
        _row(row, model, table, numbers.set_index("model").loc[model], label)
    kinds = {"informative": style.INFORMATIVE, "structural": style.STRUCTURAL}
    if any(table[f"informative_{label}"].isna().any() for table in tables.values()):
        kinds["no label"] = "#999999"
    handles = [
        Line2D([], [], linestyle="none", marker="o", markersize=4, color=colour, label=kind)
        for kind, colour in kinds.items()
    ]
    names = {"H_max": "$H_{max}(p)$", "H_min": "$H_{min}(p)$"}
    handles += [Line2D([], [], color=c, linestyle=line, label=names[name]) for name, (c, line) in BOUNDS.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), title=f"labels: {label}")
    return figure


def drawn(table: pd.DataFrame) -> np.ndarray:
    """[rows] bool: tokens with a place on both logarithmic axes."""
    surprisal, entropy = -table["logprob"].to_numpy(float), table["entropy_T1.0"].to_numpy(float)
    return np.isfinite(surprisal) & np.isfinite(entropy) & (surprisal > RESOLUTION) & (entropy > 0)


def _row(row: Figure, model: str, table: pd.DataFrame, numbers: pd.Series, label: str) -> None:
    kept = drawn(table)
    row.suptitle(_title(model, numbers, lost=int((~kept).sum())), fontsize=8, linespacing=1.4)
    left, right = row.subplots(1, 2)
    if not kept.any():
        for axes in (left, right):
            axes.text(0.5, 0.5, "no token to draw", transform=axes.transAxes, ha="center", fontsize=style.SMALL)
            axes.set(xticks=[], yticks=[])
        return
    table = table[kept].reset_index(drop=True)
    surprisal, entropy = -table["logprob"].to_numpy(float), table["entropy_T1.0"].to_numpy(float)
    known, informative = labelled(table, label)
    colours = np.full(len(table), "#999999", dtype=object)
    colours[known.index] = np.where(informative, style.INFORMATIVE, style.STRUCTURAL)
    # The rarer kind must not drown in the other; between equals, neither kind lies wholly on top.
    order = np.random.default_rng(0).permutation(len(table))
    low, high = surprisal.min() / 1.6, surprisal.max() * 1.6
    curve = np.geomspace(low, high, 400)
    for axes, scale in ((left, np.ones_like), (right, lambda s: -np.expm1(-s))):
        axes.scatter(
            surprisal[order],
            (entropy / scale(surprisal))[order],
            s=7,
            c=colours[order],
            alpha=0.55,
            linewidths=0,
            rasterized=len(table) > 5000,
        )
        bounds = {
            "H_max": maximum_entropy(-curve, int(numbers["vocabulary"])),
            "H_min": minimum_entropy(-curve),
        }
        for name, (colour, line) in BOUNDS.items():
            axes.plot(curve, bounds[name] / scale(curve), color=colour, linestyle=line, linewidth=0.9, label=name)
        axes.set(xscale="log", xlim=(low, high), xlabel="Surprisal −ln p (nats, log)")
        _confidence(axes, low, high)
    left.set(yscale="log", ylabel="Entropy H (nats, log)")
    right.set(ylabel="H / (1 − p) (nats)", ylim=(0, None))


def _title(model: str, numbers: pd.Series, lost: int) -> str:
    tokens = f"{int(numbers['tokens'])} tokens"
    if lost:
        tokens += f", {lost} not drawn (−ln p < 10⁻⁶, H ≤ 0 or undefined)"
    if pd.isna(numbers["ratio"]):
        claim = "spread of H at equal p: undefined (no bin of p holds ten tokens)"
    else:
        claim = (
            f"at equal p, 90th / 10th percentile of H, median over bins of p: {numbers['ratio']:.2f} "
            f"(possible $H_{{max}}/H_{{min}}$: {numbers['possible']:.2f})"
        )
    # A model's name may hold a dollar sign or an underscore, the claim holds mathematics.
    return f"{model}: ".replace("$", r"\$") + tokens + "\n" + claim


def _confidence(axes: Axes, low: float, high: float) -> None:
    """The same axis in p, on top."""
    top = axes.twiny()
    top.set(xscale="log", xlim=(low, high), xlabel="Confidence p")
    shown = [(p, text) for p, text in TICKS if low <= -np.log(p) <= high]
    top.set_xticks([-np.log(p) for p, _ in shown], [text for _, text in shown])
    top.minorticks_off()
    top.spines["top"].set_visible(True)
