"""ETW Fig. 7: histograms of the remaining weightings, and what unlearning leaves of the tokens' probabilities.

arXiv 2604.17785; docs/choices.md#figures-of-etw: the caption is cut off and does not name the quantity; both are drawn.
The second tests a claim: after ETW the probabilities of informative tokens are closest to those of the model that
never saw the forget set. "Close" is the Wasserstein-1 distance of the two distributions of p, which is the area between
their cumulative curves.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.stats import wasserstein_distance

from lethe.analysis.auc import labelled
from lethe.errors import InputError
from lethe.figures import etw_fig3, style
from lethe.io import read_table, require
from lethe.tables.main import REFERENCES
from lethe.target import Target
from lethe.tokens.table import considered

KEYS = ["sample", "position", "token_id"]
KINDS = ("informative", "structural")
MEASURED = ["set", "kind", *KEYS, "logprob"]
"""Columns of a measured table that are read."""

ONE_COLUMN = 14  # rows; more are laid out in two columns
GRID = np.linspace(0, 1, 201)  # where cumulative curves are drawn; distances are exact


def make(source, settings, target: Target) -> None:
    """From a token table and what was measured after unlearning, two figures and a CSV of distances."""
    label, methods = settings.label, settings.methods
    table = considered(read_table(source.tokens[0]), settings.eos)
    paths = zip(("full", "retain", *methods), source.measured, strict=True)
    found = probabilities(table, {who: answers(read_table(path, MEASURED)) for who, path in paths}, label)
    far = distances(found)
    target.csv(far, "distances")
    style.save(draw(found, far, methods, label), target.stem("probabilities"))
    style.save(draw_weights(table, methods, label, found), target.stem("weights"))


def answers(measured: pd.DataFrame) -> pd.DataFrame:
    """The true answers of the forget set in a measured table, columns `KEYS` and logprob (nats)."""
    require(measured, MEASURED, "measured tokens")
    chosen = (measured["set"] == "forget") & (measured["kind"] == "answer")
    return measured.loc[chosen, [*KEYS, "logprob"]].reset_index(drop=True)


def probabilities(table: pd.DataFrame, measured: Mapping[str, pd.DataFrame], label: str) -> pd.DataFrame:
    """Gold-token probability under each model, with the kind of the token.

    Args:
        table: token table.
        measured: model -> `answers` of its measured table; "retain" must be among them. Tokens are those that the
            retain model was measured on: measuring may be limited to some samples, and the starting model is measured
            on the samples of all splits.
        label: label source.

    Returns:
        Columns who, informative (bool), p; in the order of `measured`. p is NaN where the log-probability is.

    Raises:
        InputError: if a model lacks tokens that the retain model has.
    """
    kept, informative = labelled(table, label)
    tokens = kept[KEYS].assign(informative=informative)
    tokens = tokens.merge(measured["retain"][KEYS], on=KEYS, validate="one_to_one")
    if tokens.empty:
        raise InputError(
            f"retain: no measured token is in the token table with a label of '{label}': the label source is silent "
            "about the measured rows, set another figures.label; or the tables are of different data."
        )
    frames = []
    for who, answers in measured.items():
        joined = tokens.merge(answers, on=KEYS, how="left", indicator=True, validate="one_to_one")
        missing = int((joined["_merge"] == "left_only").sum())
        if missing:
            raise InputError(
                f"{who}: {missing} of {len(tokens)} tokens that the retain model is measured on are missing; "
                "measure both on the same samples."
            )
        p = np.exp(joined["logprob"].to_numpy(float))
        frames.append(pd.DataFrame({"who": who, "informative": joined["informative"], "p": p}))
    return pd.concat(frames, ignore_index=True)


def distances(found: pd.DataFrame) -> pd.DataFrame:
    """Mean probability and distance to the retain model, two rows per model, nearest on informative tokens first.

    Args:
        found: result of `probabilities`.

    Returns:
        Columns method, kind ("informative", "structural"), mean_p, distance_to_retain (Wasserstein-1, in units of
        probability), tokens, undefined (tokens without a probability; then both numbers are NaN).
    """
    rows = []
    for who in dict.fromkeys(found["who"]):
        for kind in KINDS:
            p, base = (_values(found, name, kind) for name in (who, "retain"))
            undefined = int((~np.isfinite(p)).sum())
            defined = len(p) > 0 and np.isfinite(p).all() and np.isfinite(base).all()
            distance = wasserstein_distance(p, base) if defined else np.nan
            rows.append((who, kind, p.mean() if len(p) else np.nan, distance, len(p), undefined))
    table = pd.DataFrame(rows, columns=["method", "kind", "mean_p", "distance_to_retain", "tokens", "undefined"])
    nearest = table[table["kind"] == "informative"].set_index("method")["distance_to_retain"]
    return table.sort_values("method", key=lambda names: names.map(nearest), kind="stable", ignore_index=True)


@style.styled
def draw(found: pd.DataFrame, table: pd.DataFrame, methods: Sequence[str], label: str) -> Figure:
    """Cumulative distribution of the gold token's probability per model, and how far it is from the retain model's.

    A row per model, nearest first by informative tokens; the shaded area, whose size is printed, is the distance.

    Args:
        found: result of `probabilities`.
        table: `distances` of it.
        methods: the study's methods, in the order that fixes their colours.
        label: label source, for the legend.
    """
    order = [who for who in dict.fromkeys(table["method"]) if who != "retain"]
    columns = 1 if len(order) <= ONE_COLUMN else 2
    height = math.ceil(len(order) / columns)
    figure = style.new(style.WIDTH, 0.42 * height + 1.25)
    panels = figure.subplots(1, 2 * columns, squeeze=False, sharey=True)[0]
    looks = style.looks(methods) | style.looks(REFERENCES)
    table = table.set_index(["method", "kind"])
    for column in range(columns):
        shown = order[column * height : (column + 1) * height]
        for kind, axes in zip(KINDS, panels[2 * column :], strict=False):
            retain = _cumulative(_values(found, "retain", kind))
            for row, who in enumerate(shown):
                _row(axes, -row, _values(found, who, kind), retain, table.loc[(who, kind)], looks[who].colour)
                if kind == KINDS[0]:
                    axes.text(-0.06, 0.42 - row, who, ha="right", va="center", fontsize=style.SMALL)
            axes.set(xlim=(0, 1), ylim=(0.85 - height, 1.02), xticks=[0, 0.5, 1], yticks=[])
            axes.set_xticklabels(["0", "0.5", "1"])
            axes.spines["left"].set_visible(False)
            axes.set_title(kind)
    figure.supxlabel("Probability p of the gold token", fontsize=8)
    figure.legend(
        handles=[
            Line2D([], [], color=looks["retain"].colour, linewidth=0.9, label="retain model"),
            Line2D([], [], color="#999999", linewidth=1.2, label="model of the row"),
            Patch(color="#999999", alpha=0.4, label="area between, W₁"),
        ],
        loc="outside upper center",
        ncols=3,
        title=f"share of tokens with probability ≤ p, from 0 to 1 in each row; first seed; labels: {label}",
        title_fontsize=style.SMALL,
    )
    return figure


@style.styled
def draw_weights(table: pd.DataFrame, methods: Sequence[str], label: str, found: pd.DataFrame) -> Figure:
    """Fig. 3 for the methods that are not in it; if there is none, what the weights are to bring about.

    Args:
        table: token table.
        methods: the study's methods.
        label: label source.
        found: result of `probabilities`; full and retain models are drawn if Fig. 3 has all methods.
    """
    rest = [method for method in methods if method not in etw_fig3.core(methods)]
    if rest:
        return etw_fig3.draw(table, rest, label)
    figure = style.new(style.WIDTH, 2.4)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, who in zip(panels, REFERENCES, strict=True):
        own = found[found["who"] == who]
        etw_fig3.panel(axes, own["p"].to_numpy(float), own["informative"].to_numpy(bool), "probabilities")
        axes.set(xlim=(0, 1), title=f"{who} model", xlabel="Probability of the gold token")
    panels[0].set_ylabel("Density (log)")
    etw_fig3.legend(figure, f"{label}\nno weighting remains: all methods are in Fig. 3")
    return figure


def _values(found: pd.DataFrame, who: str, kind: str) -> np.ndarray:
    chosen = (found["who"] == who) & (found["informative"] == (kind == "informative"))
    return found.loc[chosen, "p"].to_numpy(float)


def _cumulative(p: np.ndarray) -> np.ndarray:
    """Share of values ≤ each point of `GRID`; rounding must not lift a certain token above 1."""
    return np.searchsorted(np.sort(np.minimum(p, 1.0)), GRID, side="right") / max(len(p), 1)


def _row(axes: Axes, bottom: float, p: np.ndarray, retain: np.ndarray, numbers: pd.Series, colour: str) -> None:
    if np.isnan(numbers["distance_to_retain"]):
        lost = f"undefined in\n{int(numbers['undefined'])} of {len(p)}"
        axes.text(0.5, bottom + 0.42, lost, ha="center", va="center", fontsize=style.SMALL, color="#555555")
        return
    own, base = bottom + 0.85 * _cumulative(p), bottom + 0.85 * retain
    axes.fill_between(GRID, own, base, color=colour, alpha=0.35, linewidth=0)
    axes.plot(GRID, own, color=colour, linewidth=1.2)
    axes.plot(GRID, base, color=style.colour("retain"), linewidth=0.9)
    axes.axhline(bottom, color="#CCCCCC", linewidth=0.4, zorder=0)
    axes.text(
        1.02,
        bottom + 0.42,
        f"{numbers['distance_to_retain']:.3f}",
        ha="left",
        va="center",
        fontsize=style.SMALL,
    )
