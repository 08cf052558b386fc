"""Do a method's weights go with the informative labels? Correlations with intervals, beside the AUC.

Asked for by ETW's reviewers (arXiv 2604.17785; §9.1 of our specification). Point-biserial r is Pearson's r with a 0/1
label, and the rank-biserial correlation is 2·AUC − 1. Tokens of one answer are dependent, so the bootstrap draws
answers; what it sums per answer is counted once, and a resample costs no more than a matrix product.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lethe.listing import Column, Layout
from lethe.roc import Eos, auc_table, interval, labelled, ranking, resamples
from lethe.tokens import entropy_column

STATISTICS = ("auc", "rank_biserial", "pearson", "spearman")


def score_names(
    table: pd.DataFrame, methods: Iterable[str], temperatures: Iterable[float], forms: Iterable[str]
) -> list[str]:
    """Scores of a token table: weights of methods, −log p, entropies, forms; mutual information where it is stored."""
    names = [f"weight_{method}" for method in methods]
    names += ["-logprob", *map(entropy_column, temperatures), *forms]
    return names + ["mutual_information"] * ("mutual_information" in table.columns)


def resampled_pearson(x: np.ndarray, y: np.ndarray, cluster: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Pearson's r of B resamples in which cluster s occurs counts[b, s] times; NaN where x or y does not vary.

    Args:
        x, y: [n] values, finite.
        cluster: [n] int, 0 … S − 1.
        counts: [B, S] multiplicities.
    """
    # Standardised, so that no digits are lost in n Σx² − (Σx)², whatever the mean and scale.
    x, y = ((v - v.mean()) / (v.std() or 1.0) for v in (x.astype(float), y.astype(float)))
    terms = (np.ones_like(x), x, y, x * x, y * y, x * y)
    sums = np.column_stack([np.bincount(cluster, weights=term, minlength=counts.shape[1]) for term in terms])  # [S, 6]
    n, sx, sy, sxx, syy, sxy = (counts.astype(float) @ sums).T  # [B] each
    vx, vy = n * sxx - sx**2, n * syy - sy**2
    varies = (vx > 1e-12 * n**2) & (vy > 1e-12 * n**2)
    scale = np.sqrt(np.where(varies, vx * vy, 1.0))
    return np.where(varies, (n * sxy - sx * sy) / scale, np.nan).clip(-1, 1)


def correlation_table(
    table: pd.DataFrame,
    labels: Iterable[str],
    scores: Iterable[str],
    bootstrap: int = 1000,
    seed: int = 0,
    eos: Eos = "structural",
) -> pd.DataFrame:
    """AUC, point-biserial r and Spearman's ρ of every score with every label source, tokens pooled over the samples.

    Pearson's r is that of the values as they are; Spearman's ρ and the AUC are those of `lethe.roc.ranking`, which
    ranks weights that are monotone in p by log p. Ranks are taken once, on the full sample, and resampled as values.
    Resamples are the same for all scores and for the AUC.

    Args:
        table: token table of one model.
        labels: label sources, i.e. `informative_<label>` columns.
        scores: see `lethe.roc`.
        bootstrap: resamples of the samples; 0 leaves the intervals undefined.
        seed: of the resamples.
        eos: see `lethe.roc.labelled`.

    Returns:
        Columns label, score, then auc, rank_biserial, pearson and spearman, each followed by its `_low` and `_high`
        (95 % percentile interval; NaN with fewer than two samples), tokens, positives, samples, resamples_undefined
        (left out of the intervals of r and ρ), reason (why values are undefined; missing where all are defined).
    """
    labels, scores, table = list(labels), list(scores), table.reset_index(drop=True)
    areas = auc_table(table, labels, scores, bootstrap, seed, eos).set_index(["label", "score"])
    rows = []
    for label in labels:
        kept, positive = labelled(table, label, eos)
        cluster, names = pd.factorize(kept["sample"])
        counts = resamples(len(names), bootstrap, seed)
        for score in scores:
            area = areas.loc[(label, score)]
            order = ranking(table, score)[kept.index]
            reason = area["reason"] if not pd.isna(area["reason"]) else None
            if reason is None and np.ptp(order) == 0:
                reason = "the score is constant"
            pearson = spearman = np.full(len(counts), np.nan)
            if reason is None:
                sign = -1 if score.startswith("-") else 1
                values = sign * table[score.removeprefix("-")].to_numpy(float)[kept.index]
                pearson = resampled_pearson(values, positive, cluster, counts)
                spearman = resampled_pearson(rankdata(order), positive, cluster, counts)
            auc = (area["auc"], area["low"], area["high"])
            statistics = (*auc, *(2 * value - 1 for value in auc), *interval(pearson), *interval(spearman))
            counted = area[["tokens", "positives", "samples"]]
            rows.append((label, score, *statistics, *counted, int(np.isnan(pearson[1:]).sum()), reason))
    parts = [name + part for name in STATISTICS for part in ("", "_low", "_high")]
    columns = ["label", "score", *parts, "tokens", "positives", "samples", "resamples_undefined", "reason"]
    return pd.DataFrame(rows, columns=columns).astype({"reason": "string"})


def layout(split: str, bootstrap: int) -> Layout:
    """How the table of a split is set."""
    shown = {
        "auc": "AUC",
        "pearson": "point-biserial r",
        "spearman": "Spearman ρ",
        "rank_biserial": "rank-biserial",
    }
    columns = {"model": Column("model"), "label": Column("label source"), "score": Column("score")}
    columns |= {
        name: Column(heading, ".3f", interval=(f"{name}_low", f"{name}_high")) for name, heading in shown.items()
    }
    columns |= {"tokens": Column("tokens", ".0f"), "positives": Column("informative", ".0f")}
    columns |= {"samples": Column("answers", ".0f"), "reason": Column("remark", missing="", wide=True)}
    return Layout(
        f"How scores of tokens go with informative labels, {split}, at the starting model.",
        columns,
        (
            f"Brackets: 95 % percentile interval, {bootstrap} bootstrap resamples of whole answers. Point-biserial r "
            "is Pearson's r with the 0/1 label; for Spearman's ρ, ranks are taken once on the full sample; "
            "rank-biserial = 2·AUC − 1.",
            "The end token counts as structural. Weights that are monotone in the token's probability are ranked by "
            "its logarithm for AUC and ρ; r is that of the weight itself.",
            "Everything is measured before unlearning, so nothing here varies with the unlearning seed, except that "
            "random weightings show their draw for the first seed.",
        ),
        ("model", "label"),
    )
