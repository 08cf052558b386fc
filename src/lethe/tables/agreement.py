"""How far do label sources agree on what is informative? An AUC is worth no more than the labels behind it.

Who labelled the tokens of ETW's figures is unknown (arXiv 2604.17785; docs/choices.md#labels-and-auc), so several
sources stand side by side; this table says how different their answers are.
"""

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from lethe.analysis.auc import END_TOKEN, labelled
from lethe.io import read_table
from lethe.tables.render import Column, Layout, stacked, write
from lethe.target import Target
from lethe.tokens.table import considered


def make(source, settings, target: Target) -> None:
    """From the token table of each model, how far label sources agree."""
    tables = {
        model: agreement_table(considered(read_table(path), settings.eos), settings.labels)
        for (model, _), path in zip(settings.places, source.tokens, strict=True)
    }
    looks = layout(settings.place["split"], settings.labels, settings.eos)
    write(stacked(tables, ["model"]), target.stem(), looks, target.origin)


def agreement_table(table: pd.DataFrame, labels: Iterable[str]) -> pd.DataFrame:
    """One row per pair of label sources, over the tokens that both say something about; no rows for one source.

    Args:
        table: token table of one model.
        labels: label sources, i.e. `informative_<label>` columns.

    Returns:
        Columns first, second, tokens and samples (in common), share_first and share_second (informative, of those
        tokens), kappa (Cohen's), jaccard (both / either), first_marked and second_marked (share of the first source's
        informative tokens that the second marks, and the reverse), reason (why a value is undefined, i.e. NaN).
    """
    table = table.reset_index(drop=True)
    marks = {}
    for label in labels:
        kept, positive = labelled(table, label)
        marks[label] = pd.Series(positive, index=kept.index)
    rows = []
    for first, second in itertools.combinations(marks, 2):
        common = marks[first].index.intersection(marks[second].index)
        a, b = marks[first][common].to_numpy(bool), marks[second][common].to_numpy(bool)
        both, either = (a & b).sum(), (a | b).sum()
        one_class = len(common) == 0 or ((a == a[0]).all() and (b == a[0]).all())
        reasons = [] if len(common) else ["no token in common"]
        if len(common) and one_class:
            reasons.append("one class only")
        reasons += [f"{name} marks nothing" for name, m in ((first, a), (second, b)) if len(m) and not m.any()]
        rows.append(
            {
                "first": first,
                "second": second,
                "tokens": len(common),
                "samples": table["sample"][common].nunique(),
                "share_first": _share(a.sum(), len(a)),
                "share_second": _share(b.sum(), len(b)),
                "kappa": np.nan if one_class else cohen_kappa_score(a, b),
                "jaccard": _share(both, either),
                "first_marked": _share(both, a.sum()),
                "second_marked": _share(both, b.sum()),
                "reason": "; ".join(reasons) or None,
            }
        )
    numbers = ["share_first", "share_second", "kappa", "jaccard", "first_marked", "second_marked"]
    columns = ["first", "second", "tokens", "samples", *numbers, "reason"]
    return pd.DataFrame(rows, columns=columns).astype({"reason": "string"})


def _share(part: int, whole: int) -> float:
    return part / whole if whole else np.nan


def layout(split: str, labels: list[str], eos: str) -> Layout:
    """How the table of a split is set; `eos` is `figures.eos`."""
    notes = (
        f"Over the tokens that both sources say something about. The end token: {END_TOKEN[eos]} κ: Cohen's kappa, "
        "agreement beyond chance; overlap: tokens marked by both of those marked by either (Jaccard).",
    )
    if len(labels) < 2:
        notes = (f"The study has one label source, {labels[0]}: there is nothing to compare it with.",)
    columns = {
        "model": Column("model"),
        "first": Column("source A"),
        "second": Column("source B"),
        "tokens": Column("tokens", ".0f"),
        "samples": Column("answers", ".0f"),
        "share_first": Column("informative in A", ".3f"),
        "share_second": Column("informative in B", ".3f"),
        "kappa": Column("κ", ".3f"),
        "jaccard": Column("overlap", ".3f"),
        "first_marked": Column("of A's, B marks", ".3f"),
        "second_marked": Column("of B's, A marks", ".3f"),
        "reason": Column("remark", missing="", wide=True),
    }
    return Layout(f"Agreement of label sources on informative tokens, {split}.", columns, notes, ("model",))
