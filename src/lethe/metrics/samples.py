"""Per-sample values: what every summary is computed from, and what is kept so that it can be computed again.

A value stays with its sample: an undefined one is NaN in its row, it never shifts the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lethe.metrics.answers import answer_values
from lethe.metrics.probability import normalised
from lethe.metrics.truth_ratio import closeness, knowledge, superiority, truth_ratio

if TYPE_CHECKING:  # the package of benchmarks loads torch, which evaluation has no use for
    from lethe.benchmarks.records import Record


@dataclass(frozen=True)
class Measured:
    """What was measured on one model: see `answer_values` for the tables.

    Attributes:
        tokens: one row per label of each answer.
        generations: one row per sample that was generated for.
        records: the benchmark's records; more than were measured is fine.
        min_k: share of lowest tokens in Min-K and Min-K++.
        ou_compat: extraction strength as open-unlearning computes it.
    """

    tokens: pd.DataFrame
    generations: pd.DataFrame
    records: "Sequence[Record]"
    min_k: float = 0.4
    ou_compat: bool = False


def samples(measured: Measured) -> pd.DataFrame:
    """One row per (set, sample), sorted; NaN = undefined.

    Columns, each NaN in sets that it is not defined for:
        n_tokens, avg_loss, prob, extraction_strength, exact_memorization, min_k, min_k_plus_plus, zlib,
        rouge_l_recall: of the answer, as in `answer_values`
        prob_normalised: real authors and world facts
        paraphrase_avg_loss, paraphrase_prob: of the paraphrased answer
        perturbed_avg_loss, perturbed_prob: means over the perturbed answers; defined if all of them are
        truth_ratio: raw; truth_ratio_form: as aggregated, min(TR, 1/TR) for forget, max(0, 1 − TR) elsewhere
        knowledge: forget
    """
    values = answer_values(measured.tokens, measured.records, measured.generations, measured.min_k, measured.ou_compat)
    keys = ["set", "sample"]
    table = _of_kind(values, "answer").set_index(keys)
    paraphrase = _of_kind(values, "paraphrase").set_index(keys).reindex(table.index)
    false = (
        _of_kind(values, "perturbed")
        .groupby(keys)
        .agg(avg_loss=("avg_loss", "mean"), prob=("prob", "mean"), defined=("avg_loss", "count"))
        .reindex(table.index)
    )
    expected = {record.id: len(record.perturbed_answers) for record in measured.records}
    n_false = table.index.get_level_values("sample").map(expected).to_numpy()  # [S]
    false = false.where(false["defined"] == n_false)

    name = table.index.get_level_values("set").to_numpy()
    paraphrased, options = np.isin(name, ["forget", "retain"]), np.isin(name, ["real_authors", "world_facts"])
    table["paraphrase_avg_loss"], table["paraphrase_prob"] = paraphrase["avg_loss"], paraphrase["prob"]
    table["perturbed_avg_loss"], table["perturbed_prob"] = false["avg_loss"], false["prob"]
    table["prob_normalised"] = normalised(table["prob"], false["prob"] * n_false).where(options)
    true = paraphrase["avg_loss"].where(paraphrased, table["avg_loss"].where(options))
    table["truth_ratio"] = truth_ratio(true.to_numpy(), false["avg_loss"].to_numpy())
    table["truth_ratio_form"] = np.where(
        name == "forget", closeness(table["truth_ratio"]), superiority(table["truth_ratio"])
    )
    table["knowledge"] = np.where(name == "forget", knowledge(true.to_numpy(), false["avg_loss"].to_numpy()), np.nan)
    return table.reset_index()


def _of_kind(values: pd.DataFrame, kind: str) -> pd.DataFrame:
    return values[values["kind"] == kind].drop(columns=["kind", "index"])
