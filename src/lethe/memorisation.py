"""Which weighting finds the informative tokens, depending on how far the model has memorised the data.

The AUCs of ETW (arXiv 2604.17785, Fig. 2) are of one starting model at one temperature. On a real model the margin of
entropy over 1 − p was seen to appear only for T > 1, and only once the data are memorised (our specification §8.1); so
here the AUC is followed over the epochs of the fine-tuning that makes the starting model.

Left out is what cannot depend on the epoch: static weightings (masks, spans), and TNPO, whose two models are one and
the same as long as nothing has been unlearned.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lethe.errors import InputError
from lethe.method import normalise_column
from lethe.roc import auc_table
from lethe.tables import require
from lethe.tokens import KEY, entropy_column

# p of WGA and 1 − p of Imp are ranked by ln p, which does not saturate (invariant 8, §2.5).
FROM_CONFIDENCE = {"logprob": "WGA", "-logprob": "Imp", "weight_SatImp": "SatImp"}


def auc_by_epoch(
    epochs: pd.DataFrame,
    tokens: pd.DataFrame,
    labels: Sequence[str],
    temperatures: Sequence[float],
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """AUC of every score at every epoch of fine-tuning, for every label source.

    Args:
        epochs: epoch, sample, position, token_id, logprob and entropy_T<t> (nats), of this split or of more.
        tokens: token table of the split, with its labels.
        labels: label sources, i.e. `informative_<label>` columns of `tokens`.
        temperatures: of the entropies.
        bootstrap, seed: see `lethe.roc.auc_table`.

    Returns:
        Columns label, epoch, score (ETW, Imp, WGA or SatImp), temperature (ETW's; NaN for the others), auc, low, high,
        mean_p (mean probability of all answer tokens of the split at that epoch), reason (why auc is NaN).

    Raises:
        InputError: if a column is missing, or an epoch has not exactly the table's tokens.
    """
    columns = ["logprob", *map(entropy_column, temperatures)]
    require(epochs, ["epoch", *KEY, "token_id", *columns], "table of epochs")
    require(tokens, [*KEY, "token_id", "eos", *(f"informative_{label}" for label in labels)], "token table")
    marks = tokens[[*KEY, "token_id", "eos", *(f"informative_{label}" for label in labels)]]
    of_score = {f"weight_ETW_T{float(t)}": ("ETW", float(t)) for t in temperatures}
    of_score |= {column: (name, np.nan) for column, name in FROM_CONFIDENCE.items()}
    parts = []
    for epoch, rows in epochs.groupby("epoch", sort=True):
        joined = marks.merge(rows[[*KEY, "token_id", *columns]], on=[*KEY, "token_id"])
        if len(joined) != len(marks) or joined.duplicated(KEY).any():
            raise InputError(
                f"table of epochs: epoch {epoch} has {len(joined)} of the token table's {len(marks)} tokens; "
                "the two were made with other data or another tokenizer, fine-tune and score again."
            )
        weighed = joined.assign(**weights(joined, temperatures))
        auc = auc_table(weighed, labels, of_score, bootstrap, seed)
        parts.append(
            auc.assign(
                epoch=epoch,
                temperature=auc["score"].map(lambda column: of_score[column][1]),
                score=auc["score"].map(lambda column: of_score[column][0]),
                mean_p=float(np.exp(joined["logprob"].astype(float)).mean()),
            )
        )
    order = ["label", "epoch", "score", "temperature", "auc", "low", "high", "mean_p", "reason"]
    return pd.concat(parts, ignore_index=True)[order].sort_values(["label", "epoch"], kind="stable", ignore_index=True)


def weights(tokens: pd.DataFrame, temperatures: Sequence[float]) -> dict[str, np.ndarray]:
    """Weights that ROC curves cannot read off a column, float64: `weight_ETW_T<t>` and `weight_SatImp`.

    ETW: ω = n · H / Σ H within each sample, 1 where all H are 0; pooled over samples this ranks otherwise than H
    (invariant 10, §2.5). SatImp: ω = p⁵ (1 − p), not normalised, as in the authors' code.

    Args:
        tokens: sample, logprob and entropy_T<t> (nats), one epoch.
        temperatures: of the entropies.
    """
    found = {}
    for temperature in temperatures:
        entropy = tokens[entropy_column(temperature)]
        found[f"weight_ETW_T{float(temperature)}"] = normalise_column(entropy, tokens["sample"]).to_numpy()
    logprob = tokens["logprob"].to_numpy(float)
    found["weight_SatImp"] = -np.exp(5 * logprob) * np.expm1(logprob)
    return found
