"""AUC of the weightings over the fine-tuning that makes the starting model: when does temperature matter?

A figure of our own (docs/choices.md#memorisation-and-temperature); it tells under which condition the margin of ETW
(arXiv 2604.17785, Fig. 2) is to be expected.
"""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lethe.analysis.curves import ETW, curves
from lethe.analysis.memorisation import auc_by_epoch
from lethe.config import MethodConfig
from lethe.errors import InputError
from lethe.figures import style
from lethe.io import read_table, require
from lethe.tables.render import stacked
from lethe.target import Target
from lethe.tokens.table import considered

# The light ends are cut off: a line must be seen on white.
TEMPERATURES = ListedColormap(mpl.colormaps["Oranges"](np.linspace(0.35, 1.0, 256)), name="temperatures")
EPOCHS = ListedColormap(mpl.colormaps["viridis_r"](np.linspace(0.12, 1.0, 256)), name="epochs")
MARKERS = "ov^sDPX*<>"
LINES = ("--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))


def make(source, settings, target: Target) -> None:
    """From the token table and the fine-tuning epochs of each trained model, the figure and a CSV of its numbers."""
    methods = {name: MethodConfig(**method) for name, method in settings.configured.items()}
    followed = curves(methods, settings.finetune_temperatures)
    paths = {model: path for (model, _), path in zip(settings.places, source.tokens, strict=True)}
    tables = {
        model: auc_by_epoch(
            read_table(epochs),
            considered(read_table(paths[model]), settings.eos),
            settings.labels,
            followed,
            settings.bootstrap,
            settings.seed,
            settings.cluster,
        )
        for model, epochs in zip(settings.trained, source.epochs, strict=True)
    }
    auc = stacked(tables, ["model"])
    target.csv(auc)
    style.save(draw(auc, settings.label), target.stem())


@style.styled
def draw(table: pd.DataFrame, label: str) -> Figure:
    """One row per model: AUC over the epoch, one line per score; AUC of ETW over T, one line per epoch.

    Undefined AUCs leave gaps, and a panel without any says so. The band on the right is the 95 % interval at the last
    epoch; there, too, Imp's AUC is a line if the study has a method of that name.

    Args:
        table: `lethe.analysis.memorisation.auc_by_epoch` of every model, with a column `model` added.
        label: label source.

    Raises:
        InputError: if a column or the label is missing.
    """
    require(
        table,
        ["model", "label", "epoch", "score", "temperature", "auc", "low", "high", "mean_p"],
        "table of AUCs by epoch",
    )
    table = table[table["label"] == label]
    if table.empty:
        raise InputError(f"table of AUCs by epoch: no row with label '{label}'; compute it with this label source.")
    models = list(dict.fromkeys(table["model"]))
    temperatures = sorted(table["temperature"].dropna().unique())
    looks = _looks(temperatures, [score for score in table["score"].unique() if score != ETW])
    epochs = Normalize(table["epoch"].min(), max(table["epoch"].max(), table["epoch"].min() + 1))
    figure = style.new(style.WIDTH, 2.45 * len(models) + 0.85)
    panels = figure.subplots(len(models), 2, squeeze=False)
    for model, (left, right) in zip(models, panels, strict=True):
        rows = table[table["model"] == model]
        _over_epochs(left, rows, looks, model)
        _over_temperatures(right, rows, temperatures, epochs, looks.get(("Imp", "Imp", None)))
    panels[-1, 0].set_xlabel("Fine-tuning epoch")
    panels[-1, 1].set_xlabel("Temperature T of ETW's entropy (log)")
    bar = figure.colorbar(mpl.cm.ScalarMappable(epochs, EPOCHS), ax=panels[:, 1], aspect=14 * len(models) + 6)
    bar.set_label("Fine-tuning epoch")
    bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    handles = [Line2D([], [], label=name, **look, markersize=4) for (name, *_), look in looks.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, columnspacing=1.5, title=f"labels: {label}")
    return figure


def _looks(temperatures: list[float], others: list[str]) -> dict[tuple[str, str, float | None], dict]:
    """(name in the legend, score, temperature) -> look of its line."""
    looks = {}
    for i, temperature in enumerate(temperatures):
        shade = TEMPERATURES(i / max(len(temperatures) - 1, 1))
        key = (f"{ETW}, T = {temperature:g}", ETW, temperature)
        looks[key] = {"color": shade, "marker": MARKERS[i % len(MARKERS)]}
    for i, (name, look) in enumerate(style.looks(others).items()):
        looks[name, name, None] = {"color": look.colour, "marker": None, "linestyle": LINES[i % len(LINES)]}
    return looks


def _over_epochs(axes: Axes, rows: pd.DataFrame, looks: dict, model: str) -> None:
    for (name, score, temperature), look in looks.items():
        chosen = rows[rows["score"] == score]
        if temperature is not None:
            chosen = chosen[np.isclose(chosen["temperature"], temperature)]
        chosen = chosen.sort_values("epoch")
        axes.plot(chosen["epoch"], chosen["auc"], markersize=2.5, linewidth=1, label=name, **look)
    axes.axhline(0.5, color="#999999", linewidth=0.8, linestyle=(0, (1, 2)), label="_chance")
    axes.set_ylabel(f"{model}\nAUC")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    _undefined(axes, rows)
    mean = rows.groupby("epoch")["mean_p"].first()
    # At most six labels of three digits fit beside each other; the last epoch is the starting model, so it is one.
    shown = mean.index[:: -max(1, -(-len(mean) // 6))]
    top = axes.secondary_xaxis("top")
    top.set_xticks(list(shown), [f"{mean[epoch]:.3f}" for epoch in shown], fontsize=style.SMALL)
    top.set_xlabel("Mean p of the answer tokens", fontsize=style.SMALL)


def _over_temperatures(
    axes: Axes, rows: pd.DataFrame, temperatures: list[float], epochs: Normalize, imp: dict | None
) -> None:
    last = rows["epoch"].max()
    etw = rows[rows["score"] == ETW].sort_values("temperature")
    for epoch, curve in etw.groupby("epoch"):
        colour = EPOCHS(epochs(epoch))
        marker = "o" if epoch == last else None
        axes.plot(curve["temperature"], curve["auc"], color=colour, marker=marker, markersize=3, label=f"epoch {epoch}")
        if epoch == last:
            axes.fill_between(curve["temperature"], curve["low"], curve["high"], color=colour, alpha=0.15, linewidth=0)
    if imp is not None:
        at_last = rows.loc[(rows["score"] == "Imp") & (rows["epoch"] == last), "auc"].item()
        axes.axhline(at_last, **imp, label="Imp, last epoch")
    axes.axhline(0.5, color="#999999", linewidth=0.8, linestyle=(0, (1, 2)), label="_chance")
    axes.set_ylabel("AUC of ETW")
    axes.set_xscale("log")
    axes.set_xticks(temperatures, [f"{temperature:g}" for temperature in temperatures])
    axes.minorticks_off()
    _undefined(axes, etw)


def _undefined(axes: Axes, rows: pd.DataFrame) -> None:
    lost = int(rows["auc"].isna().sum())
    if lost:
        axes.text(
            0.02,
            0.03,
            f"{lost} of {len(rows)} AUCs undefined",
            transform=axes.transAxes,
            fontsize=style.SMALL,
            color="#555555",
        )
