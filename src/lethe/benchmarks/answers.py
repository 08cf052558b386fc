"""Per-token measurements to one row per answer, every statistic from the same forward pass.

The table of a model has a row for each label of each scored continuation (true, paraphrased, perturbed answers, options
of a choice), some hundred thousand; everything here runs over the flat arrays at once. Probability and loss count all
labels; memorisation and Min-K drop the end token, where there is one.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lethe.benchmarks.contract import Probe
from lethe.errors import InputError
from lethe.io import require
from lethe.metrics.columns import GENERATION_COLUMNS, KEYS, TOKEN_COLUMNS
from lethe.metrics.membership import compressed_bytes, min_k_score, standardised
from lethe.metrics.memorisation import exact_memorization, extraction_strength
from lethe.metrics.probability import probability
from lethe.metrics.rouge import rouge_l_recall

ANSWER_ONLY = [
    "extraction_strength",
    "exact_memorization",
    "min_k",
    "min_k_plus_plus",
    "zlib",
    "rouge_l_recall",
]


def answer_values(
    tokens: pd.DataFrame,
    probes: Iterable[Probe],
    generations: pd.DataFrame,
    min_k: float = 0.4,
    ou_compat: bool = False,
) -> pd.DataFrame:
    """One row per (set, sample, kind, index), sorted by these keys; the order of the inputs does not matter.

    Columns: n_tokens (labels, with the end token), avg_loss (nats per token; also the score of the loss
    attack), prob; and for kind `answer`, NaN elsewhere: extraction_strength, exact_memorization, min_k,
    min_k_plus_plus, zlib (nats per token and byte), rouge_l_recall. What is undefined is NaN: memorisation
    and Min-K of an answer that is only an end token, ROUGE of a sample without generation, everything of an
    answer with a NaN log-probability.

    Args:
        tokens: columns `TOKEN_COLUMNS`; set and sample are a probe's, kind and index those of its `numbered()`,
            position counts from 0 within the answer, logprob, mean_logprob and std_logprob in nats.
        probes: those that were asked; more are fine.
        generations: columns `GENERATION_COLUMNS`, cut at the end token; sets may be missing.
        min_k: k of Min-K and Min-K++.
        ou_compat: see `extraction_strength`.

    Raises:
        InputError: naming column or sample, for tables that do not fit the above or each other.
    """
    asked = {(probe.set, probe.id): probe for probe in probes}
    tokens, answer, rows = _ordered(tokens)
    _check(rows, generations, asked)

    count = len(rows)
    logprob = tokens["logprob"].to_numpy(np.float64)  # [N]
    n_tokens = np.bincount(answer, minlength=count)  # [A]
    rows["n_tokens"] = n_tokens
    rows["avg_loss"] = -np.bincount(answer, weights=logprob, minlength=count) / n_tokens
    rows["prob"] = probability(rows["avg_loss"].to_numpy())

    position = tokens["position"].to_numpy()
    of = [asked[key] for key in rows[["set", "sample"]].itertuples(index=False, name=None)]  # [A]
    ended = np.array([probe.style == "chat" for probe in of], dtype=np.int64)  # [A] end tokens
    inner = position < (n_tokens - ended)[answer]  # [N] all labels but the end token of each answer
    position, inside, inner_logprob = position[inner], answer[inner], logprob[inner]
    greedy = tokens["greedy"].to_numpy(bool)[inner]
    relative = standardised(
        inner_logprob,
        tokens["mean_logprob"].to_numpy(np.float64)[inner],
        tokens["std_logprob"].to_numpy(np.float64)[inner],
    )
    rows["extraction_strength"] = extraction_strength(greedy, position, inside, count, ou_compat)
    rows["exact_memorization"] = exact_memorization(greedy, inside, count)
    rows["min_k"] = min_k_score(inner_logprob, inside, count, min_k)
    rows["min_k_plus_plus"] = min_k_score(relative, inside, count, min_k)

    true = (rows["kind"] == "answer").to_numpy()
    texts = [dict(probe.score)["answer"] for probe, is_true in zip(of, true, strict=True) if is_true]
    rows.loc[true, "zlib"] = rows.loc[true, "avg_loss"].to_numpy() / compressed_bytes(texts)
    rows["rouge_l_recall"] = _rouge(rows[true], texts, generations).reindex(rows.index)

    rows.loc[~true, ANSWER_ONLY] = np.nan
    broken = np.bincount(answer, weights=np.isnan(logprob), minlength=count) > 0
    rows.loc[broken, ["avg_loss", "prob", *ANSWER_ONLY]] = np.nan
    return rows


def _ordered(tokens: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Tokens sorted by answer and position, [N] the answer of each token, and one row of keys per answer."""
    require(tokens, TOKEN_COLUMNS, "tokens")
    answer = tokens.groupby(KEYS, sort=True, dropna=False).ngroup().to_numpy()
    order = np.lexsort((tokens["position"].to_numpy(), answer))
    tokens, answer = tokens.iloc[order], answer[order]
    _, first = np.unique(answer, return_index=True)
    rows = tokens[KEYS].iloc[first].reset_index(drop=True)
    misplaced = tokens["position"].to_numpy() != np.arange(len(tokens)) - first[answer]
    if misplaced.any():
        where = dict(rows.iloc[answer[misplaced.argmax()]])
        raise InputError(f"tokens: the positions of {where} are not 0, 1, 2, … each once; measure this model again.")
    return tokens, answer, rows


def _check(rows: pd.DataFrame, generations: pd.DataFrame, asked: dict[tuple[str, str], Probe]) -> None:
    """The tables must speak of what was asked, and agree on which samples there are."""
    require(generations, GENERATION_COLUMNS, "generations")
    for name, table in (("tokens", rows), ("generations", generations)):
        unknown = sorted(set(table[["set", "sample"]].itertuples(index=False, name=None)) - asked.keys())
        if unknown:
            raise InputError(
                f"{name}: sample '{unknown[0][1]}' of set '{unknown[0][0]}' is no probe; measure with the same data."
            )
    for set_, sample, kind, index in rows[KEYS].itertuples(index=False, name=None):
        known = [(kind, index) for kind, index, _ in asked[set_, sample].numbered()]
        if (kind, index) not in known:
            raise InputError(
                f"tokens: kind '{kind}', index {index} is not scored for sample '{sample}' of set '{set_}', which has "
                f"{', '.join(f'{kind} {index}' for kind, index in known)}; measure with the same data."
            )
    true = set(rows.loc[rows["kind"] == "answer", ["set", "sample"]].itertuples(index=False, name=None))
    for name, table in (("tokens", rows), ("generations", generations)):
        found = set(table[["set", "sample"]].itertuples(index=False, name=None))
        orphans = sorted(key for key in found - true if "answer" in dict(asked[key].score))
        if orphans:
            raise InputError(
                f"{name}: sample '{orphans[0][1]}' of set '{orphans[0][0]}' has no tokens of kind 'answer'; "
                "measure this model again."
            )
    twice = generations.duplicated(["set", "sample"])
    if twice.any():
        raise InputError(f"generations: sample '{generations['sample'][twice].iloc[0]}' occurs twice; remove one row.")


def _rouge(rows: pd.DataFrame, texts: list[str], generations: pd.DataFrame) -> pd.Series:
    """ROUGE-L recall of those `rows` that have a generation, on their index."""
    texts = pd.Series(texts, index=rows.index, dtype=object)
    said = generations.set_index(["set", "sample"])["generation"].reindex(
        pd.MultiIndex.from_frame(rows[["set", "sample"]])
    )
    said.index = rows.index
    said = said.dropna()
    return pd.Series(rouge_l_recall(texts[said.index], said), index=said.index, dtype=np.float64)
