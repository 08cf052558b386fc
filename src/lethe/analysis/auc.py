"""How well token weights tell informative from structural tokens: ROC curves, AUC and cluster-bootstrap
intervals.

ETW (arXiv 2604.17785) Fig. 2 and the correlation statistics asked for by its reviewers
(docs/choices.md#correlation-with-labels). Tokens of one answer are dependent, so the bootstrap draws answers, or whole
authors, not tokens.
"Structural" means "not informative". Whether end tokens are among the tokens at all is decided before, by
`lethe.tokens.table.considered`.

Labels are columns `informative_<label>` of the token table. A score is a column of it: `weight_<method>`,
`logprob`, `entropy_T<temperature>`; a leading minus reverses it, so `-logprob` ranks like 1 − p.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import roc_curve

from lethe.io import require

DRAWN = {"sample": "whole answers", "group": "whole authors (all answers about one)"}
"""What a resample draws, by the column of the token table that says which tokens go together (`figures.cluster`)."""

DEFINITION = (
    "What scores and weights take from the model is its prediction of the token: the logits at the position before it, "
    "given the question and the answer so far. Entropies and forms are those of the full vocabulary, top_k_entropy "
    "that of the k likeliest words, renormalised. A temperature T divides the logits of the score alone; log p and the "
    "loss have T = 1. The end token bears loss and has a weight like any token; "
)
END_TOKEN = {
    "structural": "here it counts as structural, whatever the label source says.",
    "drop": "here it is left out.",
}


def definition(eos: str) -> str:
    """What the scores of tokens are made of, in words for the notes of tables; `eos` is `figures.eos`."""
    return DEFINITION + END_TOKEN[eos]


# Resolution of fp32 weights, with a margin for the rounding of exp and pow.
RESOLUTION = 1e-6


def labelled(table: pd.DataFrame, label: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Tokens that a label source says something about, and which of them are informative.

    End tokens are structural, whatever the source says of them (they are part of the loss).

    Args:
        table: token table, one row per answer token.
        label: label source; the column is `informative_<label>`, NA where the source says nothing about the
            sample.

    Returns:
        The rows kept, [n], and [n] bool.
    """
    column = f"informative_{label}"
    require(table, ["sample", "eos", column], "token table")
    rows = table[table[column].notna().to_numpy(bool)]
    return rows, rows[column].to_numpy(bool) & ~rows["eos"].to_numpy(bool)


def ranking(table: pd.DataFrame, score: str) -> np.ndarray:
    """[rows] float64 values in whose order a score ranks the tokens.

    A weight that is a monotone function of the token's probability (WGA, Sat, Imp, TNPO at the starting
    model) is ranked by the log-probability itself: p and 1 − p saturate on memorised tokens and would make
    ties that are none, and AUC(WGA) = 1 − AUC(Imp) would not hold. A weight that is
    constant up to rounding is constant (invariant 9). Masks, i.e. weights with two values, keep their ties.
    """
    name = score.removeprefix("-")
    weight = name.startswith("weight_")
    require(table, [name, "logprob"] if weight else [name], "token table")
    values = table[name].to_numpy(float)
    if weight and np.isfinite(values).all() and len(values):
        values = _unsaturated(values, table["logprob"].to_numpy(float))
    return -values if score.startswith("-") else values


def _unsaturated(weights: np.ndarray, logprob: np.ndarray) -> np.ndarray:
    scale = np.abs(weights).max()
    if np.ptp(weights) <= RESOLUTION * scale:
        return np.zeros_like(weights)
    if len(np.unique(weights)) == 2 or np.ptp(logprob) == 0:
        return weights
    direction = np.sign(spearmanr(weights, logprob).statistic)
    ordered = direction * weights[np.argsort(logprob, kind="stable")]
    # 1 − p is rounded on the scale of 1, however small it is.
    falls = np.maximum.accumulate(ordered) - ordered > RESOLUTION * max(1.0, scale)
    return weights if falls.any() else direction * logprob


def resampled_auc(scores: np.ndarray, positive: np.ndarray, cluster: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """AUC of B resamples in which cluster s occurs counts[b, s] times; NaN where one class is missing.

    The AUC is the share of (positive, negative) pairs in which the positive scores higher, ties counting one
    half (Mann–Whitney). With K[s, t] the pairs so won by positives of cluster s over negatives of t, that
    share is cᵀKc / (cᵀP · cᵀN): K is counted once, and a resample costs no more than a matrix product.

    Args:
        scores: [n] values, finite.
        positive: [n] bool.
        cluster: [n] int, 0 … S − 1.
        counts: [B, S] multiplicities.
    """
    n_clusters = counts.shape[1]
    order = np.argsort(scores[positive])  # sorted queries keep searchsorted in cache
    winners, winner_cluster = scores[positive][order], cluster[positive][order]
    wins = np.zeros((n_clusters, n_clusters))
    by_cluster = np.lexsort((scores[~positive], cluster[~positive]))
    bounds = np.searchsorted(cluster[~positive][by_cluster], np.arange(n_clusters + 1))
    losers = scores[~positive][by_cluster]
    for t in range(n_clusters):
        own = losers[bounds[t] : bounds[t + 1]]
        won = (np.searchsorted(own, winners, "left") + np.searchsorted(own, winners, "right")) / 2
        wins[:, t] = np.bincount(winner_cluster, weights=won, minlength=n_clusters)
    counts = counts.astype(float)
    pairs = (counts @ np.bincount(cluster[positive], minlength=n_clusters)) * (
        counts @ np.bincount(cluster[~positive], minlength=n_clusters)
    )
    won = ((counts @ wins) * counts).sum(axis=1)
    return np.divide(won, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)


def resamples(clusters: int, bootstrap: int, seed: int) -> np.ndarray:
    """[1 + B, clusters] how often each cluster occurs: once in the full sample, which comes first, then in B resamples.

    Without a bootstrap, or with fewer than two clusters, there is the full sample alone.
    """
    full = np.ones((1, clusters), int)
    if clusters < 2 or bootstrap == 0:
        return full
    draws = np.random.default_rng(seed).multinomial(clusters, np.full(clusters, 1 / clusters), size=bootstrap)
    return np.vstack([full, draws])


def interval(drawn: np.ndarray) -> tuple[float, float, float]:
    """The statistic of the full sample, which comes first, and its 95 % percentile interval over the resamples."""
    defined = drawn[1:][np.isfinite(drawn[1:])]
    return drawn[0], *(np.percentile(defined, [2.5, 97.5]) if len(defined) else (np.nan, np.nan))


def auc_table(
    table: pd.DataFrame,
    labels: Iterable[str],
    scores: Iterable[str],
    bootstrap: int = 1000,
    seed: int = 0,
    cluster: str = "sample",
) -> pd.DataFrame:
    """AUC of every score against every label source, tokens pooled over the samples.

    Resamples are the same for all scores of a label source, so their differences are paired.

    Args:
        table: token table of one model.
        labels: label sources, i.e. `informative_<label>` columns.
        scores: score columns, see the module docstring.
        bootstrap: resamples; 0 leaves the intervals undefined.
        seed: of the resamples.
        cluster: column of the token table whose values are drawn, a key of `DRAWN`.

    Returns:
        Columns label, score, auc, low, high (95 % percentile interval; NaN with fewer than two clusters),
        tokens, positives, samples, clusters (what the resamples draw from), reason (why the AUC is undefined;
        missing where it is defined).
    """
    table = table.reset_index(drop=True)
    require(table, ["sample", cluster], "token table")
    # Ranked over the whole table, so that a weight is read the same way for every label source.
    orders = {score: ranking(table, score) for score in scores}
    rows = []
    for label in labels:
        kept, positive = labelled(table, label)
        code, names = pd.factorize(kept[cluster])
        counts = resamples(len(names), bootstrap, seed)
        sizes = (len(kept), int(positive.sum()), kept["sample"].nunique(), len(names))
        for score, order in orders.items():
            values = order[kept.index]
            reason = _undefined(values, positive)
            auc = resampled_auc(values, positive, code, counts) if reason is None else np.array([np.nan])
            rows.append((label, score, *interval(auc), *sizes, reason))
    columns = ["label", "score", "auc", "low", "high", "tokens", "positives", "samples", "clusters", "reason"]
    return pd.DataFrame(rows, columns=columns).astype({"reason": "string"})


def _undefined(values: np.ndarray, positive: np.ndarray) -> str | None:
    if not len(values):
        return "no labelled token"
    if positive.all() or not positive.any():
        return f"single class: every token is {'informative' if positive.any() else 'structural'}"
    missing = int((~np.isfinite(values)).sum())
    return f"{missing} of {len(values)} tokens have no score" if missing else None


def roc_points(table: pd.DataFrame, label: str, score: str) -> pd.DataFrame:
    """Corners of the ROC curve, columns fpr and tpr, (0, 0) to (1, 1); no rows if the AUC is undefined."""
    table = table.reset_index(drop=True)
    kept, positive = labelled(table, label)
    values = ranking(table, score)[kept.index]
    if _undefined(values, positive) is not None:
        return pd.DataFrame({"fpr": [], "tpr": []}, dtype=float)
    fpr, tpr, _ = roc_curve(positive, values)
    return pd.DataFrame({"fpr": fpr, "tpr": tpr})
