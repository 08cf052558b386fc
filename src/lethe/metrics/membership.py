"""Whether the forget data can be told from data that no model has seen.

Every score is low for members, so an AUC of 1 means that forget data look trained on; 0.5 is the aim, and
below it the model is conspicuously bad at what it forgot. `privleak` relates that to a model that never saw
the forget data (MUSE, arXiv 2407.06460).
"""

import zlib
from collections.abc import Iterable

import numpy as np

from lethe.metrics import Value
from lethe.metrics.probability import EPSILON


def min_k_score(values: np.ndarray, answer: np.ndarray, n_answers: int, share: float) -> np.ndarray:
    """[A] −mean of the lowest ⌊share · n⌋, at least one, of an answer's n values.

    Min-K (Shi et al. 2024) on log-probabilities, Min-K++ (Zhang et al. 2024) on `standardised` ones. NaN for
    an answer without tokens or with a NaN among them.

    Args:
        values: [N] one value per token, nats or standard deviations.
        answer: [N] index into A.
        n_answers: A.
        share: k in (0, 1].
    """
    length = np.bincount(answer, minlength=n_answers)
    lowest = np.maximum(1, (length * share).astype(np.int64))  # [A]
    undefined = (length == 0) | (np.bincount(answer, weights=np.isnan(values), minlength=n_answers) > 0)
    order = np.lexsort((values, answer))
    values, answer = values[order], answer[order]
    start = np.cumsum(length) - length  # [A] first row of each answer
    kept = np.arange(len(values)) - start[answer] < lowest[answer]
    total = np.bincount(answer[kept], weights=values[kept], minlength=n_answers)
    return np.where(undefined, np.nan, -total / lowest)


def standardised(logprob: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """[N] (log p − μ) / σ, μ and σ the moments of log p under the model's own prediction at that token."""
    return (logprob - mean) / std


def compressed_bytes(texts: Iterable[str]) -> np.ndarray:
    """[S] length of each text in bytes after zlib compression, of its UTF-8 form."""
    return np.array([len(zlib.compress(text.encode("utf-8"))) for text in texts], dtype=np.int64)


def auc(forget: np.ndarray, holdout: np.ndarray) -> Value:
    """Area under the ROC curve, holdout positive: 1 when all forget scores lie below all holdout scores.

    Args:
        forget, holdout: scores, low for members; entries that are not finite are dropped and counted.
    """
    from sklearn.metrics import roc_auc_score  # slow to import, and the workflow plans without it

    kept = [np.asarray(scores, dtype=np.float64) for scores in (forget, holdout)]
    dropped = sum(int((~np.isfinite(scores)).sum()) for scores in kept)
    kept = [scores[np.isfinite(scores)] for scores in kept]
    counts = {"forget": len(kept[0]), "holdout": len(kept[1]), "dropped": dropped}
    for name, scores in zip(("forget", "holdout"), kept, strict=True):
        if not len(scores):
            return Value(None, f"no sample of the set '{name}' has a score, an AUC needs both classes", counts)
    labels = np.repeat([0, 1], [len(kept[0]), len(kept[1])])
    return Value(float(roc_auc_score(labels, np.concatenate(kept))), counts=counts)


def privleak(model: Value, retain: Value) -> Value:
    """100 · [(1 − AUC) − (1 − AUC_retain)] / ((1 − AUC_retain) + 1e-10), per cent.

    Negative: forget data still look more like training data than to the retain model; positive: less.

    Args:
        model, retain: AUC of Min-K of the model and of the retain model. Where the retain model's is 1 there
            is nothing to relate to and the value is undefined (open-unlearning returns up to 1e12).
    """
    for name, value in (("the model", model), ("the retain model", retain)):
        if value.value is None:
            return Value(None, f"AUC of {name}: {value.reason}", value.counts)
    if retain.value == 1:
        return Value(None, "the AUC of the retain model is 1, the relative difference has no base", model.counts)
    base = 1 - retain.value
    return Value(100 * ((1 - model.value) - base) / (base + EPSILON), counts=model.counts)
