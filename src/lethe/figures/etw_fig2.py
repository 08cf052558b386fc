"""ETW Fig. 2: ROC curves of the token weights against the informative labels, at the starting model.

arXiv 2604.17785; docs/choices.md#figures-of-etw. One row of panels per model, one column per label source, because
the paper does not say where its labels come from.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lethe.analysis.auc import roc_points
from lethe.errors import InputError
from lethe.figures import style
from lethe.io import read_table, require
from lethe.target import Target
from lethe.tokens.table import considered


def make(source, settings, target: Target) -> None:
    """From the token table of each model and their correlations with labels, the curves with their areas."""
    tables = {
        model: considered(read_table(path), settings.eos)
        for (model, _), path in zip(settings.places, source.tokens, strict=True)
    }
    style.save(draw(tables, settings.labels, settings.methods, pd.read_csv(source.correlation[0])), target.stem())


@style.styled
def draw(
    tables: Mapping[str, pd.DataFrame],
    labels: Sequence[str],
    methods: Sequence[str],
    correlations: pd.DataFrame,
) -> Figure:
    """ROC curves; the legend of each panel gives AUC and 95 % interval, best first.

    Args:
        tables: model -> token table, the rows that `correlations` was made from.
        labels: label sources, the columns of panels.
        methods: methods whose weights `weight_<method>` are the scores.
        correlations: `lethe.tables.correlation.correlation_table` of every model, with a column `model` added.

    Raises:
        InputError: if a column or a row of `correlations` is missing.
    """
    require(correlations, ["model", "label", "score", "auc", "auc_low", "auc_high"], "correlation table")
    height = 2.35 + 0.135 * len(methods)
    # The legend needs a third of the page; more than three label sources make the figure wider than a page.
    figure = style.new(max(style.WIDTH / 3 * len(labels), 3.0), height * len(tables))
    panels = figure.subplots(len(tables), len(labels), squeeze=False)
    for (model, table), row in zip(tables.items(), panels, strict=True):
        for label, axes in zip(labels, row, strict=True):
            found = correlations[(correlations["model"] == model) & (correlations["label"] == label)]
            _panel(axes, table, label, methods, found.set_index("score"), model)
    for axes in panels[:, 0]:
        axes.set_ylabel("True-positive rate")
    return figure


def _panel(
    axes: Axes,
    table: pd.DataFrame,
    label: str,
    methods: Sequence[str],
    auc: pd.DataFrame,
    model: str,
) -> None:
    missing = [method for method in methods if f"weight_{method}" not in auc.index]
    if missing:
        raise InputError(
            f"correlation table: no row for model {model}, label {label}, score {[f'weight_{m}' for m in missing]}; "
            "compute it with these scores."
        )
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=(0, (1, 2)), label="_chance")
    for method in sorted(methods, key=lambda m: -auc["auc"].fillna(-1)[f"weight_{m}"]):
        points = roc_points(table, label, f"weight_{method}")
        values = auc.loc[f"weight_{method}"]
        look = style.looks(methods)[method]
        axes.plot(points["fpr"], points["tpr"], color=look.colour, linestyle=look.line, label=_entry(method, values))
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xlabel="False-positive rate")
    axes.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axes.set_title(f"{model}\nlabels: {label}")
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.31),
        borderpad=0,
        borderaxespad=0,
        handlelength=1.8,
        labelspacing=0.25,
        title="AUC [95 % interval]",
        title_fontsize=style.SMALL,
    )


def _entry(method: str, values: pd.Series) -> str:
    if pd.isna(values["auc"]):
        return f"{method} undefined"
    if pd.isna(values["auc_low"]):
        return f"{method} {values['auc']:.2f}"
    return f"{method} {values['auc']:.2f} [{values['auc_low']:.2f}, {values['auc_high']:.2f}]"
