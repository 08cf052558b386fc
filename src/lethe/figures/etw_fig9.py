"""ETW Fig. 9: how token weights change while a model unlearns, as means over epochs and on one answer.

arXiv 2604.17785; docs/choices.md#figures-of-etw. Weights are recomputed from the current model; a weighting that
loses the informative tokens on the way gives weight to something else at the end than at the start.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.metrics import roc_auc_score

from lethe.analysis.auc import RESOLUTION, labelled, ranking
from lethe.benchmarks.prepared import read_data
from lethe.errors import InputError
from lethe.figures import style
from lethe.figures.token_text import Block, annotation, page, shades
from lethe.io import read_table, require
from lethe.target import Target
from lethe.tokens.shown_samples import check_wanted, chosen_samples
from lethe.tokens.table import considered

KEYS = ["sample", "position", "token_id"]
COLUMNS = 4
CORE = ("ETW", "SatImp", "WGA", "Imp", "TNPO", "SCN")  # the caption names the first two
EPOCHS = 6  # rows per block of the heat-map, at most
AUC = "#999999"
# TNPO's weights are 1 at the starting model, but its p and p₀ come from two forward passes of the run: what they differ
# by at the start is rounding, and its AUC would be noise. Of the largest weight:
NOISE = 0.02


def make(source, settings, target: Target) -> None:
    """From a token table, the data and the weights of each epoch, curves and the heat-map of one answer."""
    label, methods = settings.label, settings.methods
    table, data = read_table(source.tokens[0]), read_data(source.data[0])
    weights = dict(zip(methods, map(read_table, source.weights), strict=True))
    style.save(draw(considered(table, settings.eos), weights, label), target.stem())
    check_wanted(settings.shown_samples, data)
    sample, *_ = chosen_samples(table, settings.shown_samples, {row.id: row.group for row in data.rows})
    (question,) = [row.prompt or "" for row in data.rows if row.id == sample]
    few = {method: weights[method] for method in shown(methods)}
    style.save(draw_tokens(table, few, sample, label, question), target.stem("tokens"))


def by_epoch(table: pd.DataFrame, weights: Mapping[str, pd.DataFrame], label: str) -> pd.DataFrame:
    """Mean weight of both kinds of token and AUC of the weight at every recorded epoch.

    Args:
        table: token table, with `weight_<method>` at the starting model.
        weights: method -> recorded weights, one row per epoch and token (sample, position, token_id, logprob, weight).
        label: label source.

    Returns:
        Columns method, epoch, informative, structural (mean ω; NaN if a weight is undefined or there is no such token),
        auc (NaN where a mean is; 0.5 for differences within `NOISE` if weights are equal at the starting model); in the
        order of `weights`.

    Raises:
        InputError: if a column is missing, or an epoch lacks tokens of the table.
    """
    require(table, [f"weight_{method}" for method in weights], "token table")
    kept, informative = labelled(table, label)
    tokens = kept[KEYS].assign(informative=informative)
    rows = []
    for method, recorded in weights.items():
        start = table[f"weight_{method}"].to_numpy(float)
        noise = NOISE if np.ptp(start) <= RESOLUTION * np.abs(start).max() else 0.0
        require(recorded, ["epoch", *KEYS, "logprob", "weight"], f"weights of {method}")
        for epoch, own in recorded.groupby("epoch"):
            joined = tokens.merge(own, on=KEYS, validate="one_to_one")
            if len(joined) < len(tokens):
                raise InputError(
                    f"weights of {method}: epoch {epoch} has {len(joined)} of the token table's {len(tokens)} tokens; "
                    "both must be of the same model and split."
                )
            positive = joined["informative"].to_numpy(bool)
            omega = joined["weight"].to_numpy(float)
            means = [omega[chosen].mean() if chosen.any() else np.nan for chosen in (positive, ~positive)]
            auc = np.nan
            if np.isfinite(means).all():
                scores = ranking(joined.rename(columns={"weight": "weight_"}), "weight_")
                auc = roc_auc_score(positive, scores) if np.ptp(omega) > noise * omega.max() else 0.5
            rows.append((method, epoch, *means, auc))
    return pd.DataFrame(rows, columns=["method", "epoch", "informative", "structural", "auc"])


@style.styled
def draw(table: pd.DataFrame, weights: Mapping[str, pd.DataFrame], label: str) -> Figure:
    """Mean ω of informative (solid) and structural (dashed) tokens by epoch, a panel per method; AUC at the right.

    Arguments and errors as in `by_epoch`.
    """
    means = by_epoch(table, weights, label)
    methods = list(weights)
    columns = min(COLUMNS, len(methods))
    rows = math.ceil(len(methods) / columns)
    figure = style.new(style.WIDTH, 1.2 * rows + 0.85)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for place, (axes, method) in enumerate(zip(panels.flat, methods, strict=False)):
        _panel(axes, means[means["method"] == method], last=place % columns == columns - 1)
        if place + columns >= len(methods):
            axes.set_xlabel("Epoch")
            axes.tick_params(labelbottom=True)
    for axes in panels.flat[len(methods) :]:
        axes.remove()
    for axes in panels[:, 0]:
        axes.set_ylabel("Mean ω")
    handles = [
        Line2D([], [], color=style.INFORMATIVE, label="ω, informative"),
        Line2D([], [], color=style.STRUCTURAL, linestyle="--", label="ω, structural"),
        Line2D([], [], color=AUC, linewidth=0.8, label="AUC of ω (right axis)"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, title=f"first seed; labels: {label}")
    return figure


def shown(methods: Sequence[str]) -> list[str]:
    """Methods of the heat-map: those of `CORE` that the study has, or its first four if it has none."""
    return [method for method in CORE if method in methods] or list(methods)[:4]


@style.styled
def draw_tokens(
    table: pd.DataFrame, weights: Mapping[str, pd.DataFrame], sample: str, label: str, question: str = ""
) -> Figure:
    """Text heat-map of one answer: a block per method, the annotation first, then a row per epoch.

    Args:
        table: token table.
        weights: method -> recorded weights, as in `by_epoch`; all are drawn, see `shown`.
        sample: sample id.
        label: label source.
        question: printed above the first block.

    Raises:
        InputError: if the sample is missing from a table, or a column is.
    """
    require(table, [*KEYS, "text", "eos", f"informative_{label}"], "token table")
    tokens = _sample(table, sample, "token table").sort_values("position")
    blocks = []
    for method, recorded in weights.items():
        own = _sample(recorded, sample, f"weights of {method}")
        rows = [(label, annotation(tokens, label))]
        for epoch in _spread(sorted(own["epoch"].unique())):
            joined = tokens[KEYS].merge(own[own["epoch"] == epoch], on=KEYS, how="left", validate="one_to_one")
            rows.append((f"epoch {epoch}", shades(joined["weight"])))
        title = method if blocks else f"{method}  ({sample}, first seed)"
        blocks.append(Block(title, "" if blocks else question, tokens, rows))
    return page(blocks, label)


def _sample(table: pd.DataFrame, sample: str, what: str) -> pd.DataFrame:
    own = table[table["sample"] == sample]
    if own.empty:
        raise InputError(
            f"{what}: no sample {sample}; choose an id of the forget split, e.g. {table['sample'].iloc[0]}."
        )
    return own


def _spread(epochs: list[int]) -> list[int]:
    """At most `EPOCHS` of them, evenly chosen, with the first and the last."""
    if len(epochs) <= EPOCHS:
        return epochs
    return [epochs[i] for i in np.linspace(0, len(epochs) - 1, EPOCHS).round().astype(int)]


def _panel(axes: Axes, means: pd.DataFrame, last: bool) -> None:
    epochs = means["epoch"]
    lost = int(means[["informative", "structural"]].isna().any(axis=1).sum())
    axes.plot(epochs, means["informative"], color=style.INFORMATIVE, marker="o", markersize=2.2, label="informative")
    axes.plot(
        epochs,
        means["structural"],
        color=style.STRUCTURAL,
        linestyle="--",
        marker="s",
        markersize=2.2,
        label="structural",
    )
    highest = means[["informative", "structural"]].max().max()
    axes.set_ylim(0, 1.08 * highest if highest > 0 else 1)
    right = axes.twinx()
    right.plot(epochs, means["auc"], color=AUC, linewidth=0.8, label="AUC")
    right.set(ylim=(0, 1), yticks=[0, 0.5, 1])
    right.spines["right"].set(visible=True, color=AUC)
    right.tick_params(axis="y", colors=AUC, labelright=last)
    if last:
        right.set_ylabel("AUC", color="#555555")
    undefined = f"\nundefined in {lost} of {len(means)} epochs"
    axes.set_title(means["method"].iloc[0] + undefined * bool(lost))
