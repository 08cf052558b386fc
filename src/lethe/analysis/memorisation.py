"""Which weighting finds the informative tokens, depending on how far the model has memorised the data.

The AUCs of ETW (arXiv 2604.17785, Fig. 2) are of one starting model at one temperature. On a real model the margin of
entropy over 1 − p was seen to appear only for T > 1, and only once the data are memorised
(docs/choices.md#memorisation-and-temperature); so here the AUC is followed over the epochs of the fine-tuning that
makes the starting model. Which weightings can be followed is the business of `lethe.analysis.curves`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lethe.analysis.auc import auc_table
from lethe.analysis.curves import Curve
from lethe.errors import InputError
from lethe.io import require
from lethe.methods.contract import Weighting
from lethe.methods.forms import entropy_column
from lethe.tokens.table import KEY
from lethe.tokens.weigh import weights_at_start


def auc_by_epoch(
    epochs: pd.DataFrame,
    tokens: pd.DataFrame,
    labels: Sequence[str],
    curves: Mapping[Curve, Weighting],
    bootstrap: int = 1000,
    seed: int = 0,
    cluster: str = "sample",
) -> pd.DataFrame:
    """AUC of every curve at every epoch of fine-tuning, for every label source.

    Args:
        epochs: epoch, sample, position, token_id, logprob and entropy_T<t> (nats), of this split or of more.
        tokens: those of the split's token table that are looked at, with their labels.
        labels: label sources, i.e. `informative_<label>` columns of `tokens`.
        curves: see `lethe.analysis.curves`; weights are those of all tokens of an answer, as in training.
        bootstrap, seed, cluster: see `lethe.analysis.auc.auc_table`.

    Returns:
        Columns label, epoch, score, temperature (ETW's; NaN for the others), auc, low, high, mean_p (mean probability
        of `tokens` at that epoch), reason (why auc is NaN).

    Raises:
        InputError: if a column is missing, or an epoch lacks tokens of the table.
    """
    temperatures = {t for weighting in curves.values() for t in weighting.temperatures()}
    require(epochs, ["epoch", *KEY, "token_id", "logprob", *map(entropy_column, temperatures)], "table of epochs")
    kept = list(dict.fromkeys([*KEY, "token_id", "eos", cluster, *(f"informative_{label}" for label in labels)]))
    require(tokens, kept, "token table")
    marks, columns = tokens[kept], {f"weight_{i}": curve for i, curve in enumerate(curves)}
    parts = []
    for epoch, rows in epochs.groupby("epoch", sort=True):
        weights = {name: weights_at_start(curves[curve], rows, seed) for name, curve in columns.items()}
        weighed = rows[[*KEY, "token_id", "logprob"]].assign(**weights)
        joined = marks.merge(weighed, on=[*KEY, "token_id"])
        if len(joined) != len(marks) or joined.duplicated(KEY).any():
            raise InputError(
                f"table of epochs: epoch {epoch} has {len(joined)} of the token table's {len(marks)} tokens; "
                "the two were made with other data or another tokenizer, fine-tune and score again."
            )
        auc = auc_table(joined, labels, columns, bootstrap, seed, cluster)
        parts.append(
            auc.assign(
                epoch=epoch,
                temperature=auc["score"].map(lambda name: columns[name].temperature).astype(float),
                score=auc["score"].map(lambda name: columns[name].score),
                mean_p=float(np.exp(joined["logprob"].astype(float)).mean()),
            )
        )
    order = ["label", "epoch", "score", "temperature", "auc", "low", "high", "mean_p", "reason"]
    return pd.concat(parts, ignore_index=True)[order].sort_values(["label", "epoch"], kind="stable", ignore_index=True)
