"""Do a method's weights go with the informative labels? Correlations with intervals, beside the AUC.

Asked for by ETW's reviewers (docs/choices.md#correlation-with-labels). Point-biserial r is Pearson's r with a 0/1
label, and the rank-biserial correlation is 2·AUC − 1. Tokens of one answer are dependent, so the bootstrap draws
answers; what it sums per answer is counted once, and a resample costs no more than a matrix product.
"""

from collections.abc import Iterable
from typing import get_args

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lethe.analysis.auc import DRAWN, auc_table, definition, interval, labelled, ranking, resamples
from lethe.io import read_table
from lethe.methods.forms import entropy_column
from lethe.tables.render import Column, Layout, stacked, write
from lethe.target import Target
from lethe.tokens.table import considered
from lethe.weightings.spacy_nouns import SpacyNouns

STATISTICS = ("auc", "rank_biserial", "pearson", "spearman")
MASKS = {f"SCN ({name})": name for name in get_args(SpacyNouns.model_fields["definition"].annotation)}
"""Every definition of SCN: which one ETW compares with is unknown (docs/choices.md#masks-by-a-parser)."""


def make(source, settings, target: Target) -> None:
    """From the token table of each model, the correlations of all scores with all label sources."""
    tables = {}
    for (model, _), path in zip(settings.places, source.tokens, strict=True):
        tokens = with_masks(considered(read_table(path), settings.eos))
        scores = score_names(tokens, settings.methods, settings.temperatures, settings.forms)
        tables[model] = correlation_table(
            tokens, settings.labels, scores, settings.bootstrap, settings.seed, settings.cluster
        )
    looks = layout(settings.place["split"], settings.bootstrap, settings.cluster, settings.eos)
    write(stacked(tables, ["model"]), target.stem(), looks, target.origin)


def with_masks(table: pd.DataFrame) -> pd.DataFrame:
    """The token table with a column per entry of MASKS, 1 on what it marks; as it is where no parser has read it."""
    masks = {name: SpacyNouns(definition=definition) for name, definition in MASKS.items()}
    if not {column for mask in masks.values() for column in mask.columns()} <= set(table.columns):
        return table
    return table.assign(**{name: mask.column(table, seed=0) for name, mask in masks.items()})


def score_names(
    table: pd.DataFrame, methods: Iterable[str], temperatures: Iterable[float], forms: Iterable[str]
) -> list[str]:
    """Scores of a token table: weights of methods, −log p, entropies, forms.

    Mutual information and the masks of `with_masks` follow where the table has them.
    """
    names = [f"weight_{method}" for method in methods]
    names += ["-logprob", *map(entropy_column, temperatures), *forms]
    return names + [name for name in ("mutual_information", *MASKS) if name in table.columns]


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
    cluster: str = "sample",
) -> pd.DataFrame:
    """AUC, point-biserial r and Spearman's ρ of every score with every label source, tokens pooled over the samples.

    Pearson's r is that of the values as they are; Spearman's ρ and the AUC are those of
    `lethe.analysis.auc.ranking`, which ranks weights that are monotone in p by log p. Ranks are taken once, on the full
    sample, and resampled as values. Resamples are the same for all scores and for the AUC.

    Args:
        table: token table of one model.
        labels: label sources, i.e. `informative_<label>` columns.
        scores: see `lethe.analysis.auc`.
        bootstrap: resamples; 0 leaves the intervals undefined.
        seed: of the resamples.
        cluster: column of the token table whose values are drawn, a key of `lethe.analysis.auc.DRAWN`.

    Returns:
        Columns label, score, then auc, rank_biserial, pearson and spearman, each followed by its `_low` and `_high`
        (95 % percentile interval; NaN with fewer than two clusters), tokens, positives, samples, clusters (what the
        resamples draw from), resamples_undefined (left out of the intervals of r and ρ), reason (why values are
        undefined; missing where all are defined).
    """
    labels, scores, table = list(labels), list(scores), table.reset_index(drop=True)
    areas = auc_table(table, labels, scores, bootstrap, seed, cluster).set_index(["label", "score"])
    orders = {score: ranking(table, score) for score in scores}
    rows = []
    for label in labels:
        kept, positive = labelled(table, label)
        code, names = pd.factorize(kept[cluster])
        counts = resamples(len(names), bootstrap, seed)
        for score in scores:
            area = areas.loc[(label, score)]
            order = orders[score][kept.index]
            reason = area["reason"] if not pd.isna(area["reason"]) else None
            if reason is None and np.ptp(order) == 0:
                reason = "the score is constant"
            pearson = spearman = np.full(len(counts), np.nan)
            if reason is None:
                sign = -1 if score.startswith("-") else 1
                values = sign * table[score.removeprefix("-")].to_numpy(float)[kept.index]
                pearson = resampled_pearson(values, positive, code, counts)
                spearman = resampled_pearson(rankdata(order), positive, code, counts)
            auc = (area["auc"], area["low"], area["high"])
            statistics = (*auc, *(2 * value - 1 for value in auc), *interval(pearson), *interval(spearman))
            counted = area[["tokens", "positives", "samples", "clusters"]]
            rows.append((label, score, *statistics, *counted, int(np.isnan(pearson[1:]).sum()), reason))
    parts = [name + part for name in STATISTICS for part in ("", "_low", "_high")]
    columns = ["label", "score", *parts, "tokens", "positives", "samples", "clusters", "resamples_undefined", "reason"]
    return pd.DataFrame(rows, columns=columns).astype({"reason": "string"})


def layout(split: str, bootstrap: int, cluster: str, eos: str) -> Layout:
    """How the table of a split is set; bootstrap, cluster and eos as in the section `figures` of the config."""
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
    columns |= {"samples": Column("answers", ".0f")}
    columns |= {"clusters": Column("authors", ".0f")} if cluster == "group" else {}
    columns |= {"reason": Column("remark", missing="", wide=True)}
    return Layout(
        f"How scores of tokens go with informative labels, {split}, at the starting model.",
        columns,
        (
            f"Brackets: 95 % percentile interval, {bootstrap} bootstrap resamples of {DRAWN[cluster]}. Point-biserial "
            "r is Pearson's r with the 0/1 label; for Spearman's ρ, ranks are taken once on the full sample; "
            "rank-biserial = 2·AUC − 1.",
            definition(eos),
            "Weights that are monotone in the token's probability are ranked by its logarithm for AUC and ρ; r is that "
            "of the weight itself.",
            "SCN with a definition in brackets, where the study parses its answers: the mask of that name, whether or "
            "not a method weighs by it (nouns: NOUN and PROPN; noun_chunks: noun chunks; content: NOUN, PROPN, VERB, "
            "ADJ, ADV, NUM).",
            "Everything is measured before unlearning, so nothing here varies with the unlearning seed, except that "
            "random weightings show their draw for the first seed.",
        ),
        ("model", "label"),
    )
