"""Per-sample values of a model, its retain and its full counterpart to the numbers of a table.

Runs on the stored per-sample tables alone, so a summary can be made again without model or data.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lethe.metrics import METRICS, Value
from lethe.metrics.aggregate import absolute, aggregate, delta_mu, delta_mu_relative
from lethe.metrics.forget_quality import forget_quality
from lethe.metrics.membership import ATTACKS, auc, privleak
from lethe.metrics.samples import Measured, samples
from lethe.metrics.utility import NINE, TEACHER_FORCED, model_utility

__all__ = ["Measured", "samples", "summarise", "to_json"]

_NEEDS = {
    "prob": "it needs finite log-probabilities of the answer",
    "prob_normalised": "it needs the answer and perturbed answers",
    "rouge_l_recall": "it needs a generation",
    "paraphrase_prob": "it needs a paraphrased answer",
    "perturbed_prob": "it needs perturbed answers",
    "truth_ratio_form": "it needs perturbed answers and, for forget and retain, a paraphrased one",
    "knowledge": "it needs perturbed answers and a paraphrased one",
    "extraction_strength": "it needs a token before the end token",
    "exact_memorization": "it needs a token before the end token",
}


def summarise(
    samples_model: pd.DataFrame, samples_retain: pd.DataFrame, samples_full: pd.DataFrame
) -> dict[str, Value]:
    """All metrics of `METRICS`, in its order.

    Samples whose value is undefined are left out of that metric and counted in `Value.counts`; a metric
    without any sample is undefined. The truth ratios of model and retain model are matched by sample id.

    Args:
        samples_model, samples_retain, samples_full: tables of `samples`: of the model, of the model trained
            on the retain data only, and of the model before unlearning; sets may be missing.
    """
    summary = {
        name: mean(samples_model, *metric.mean_of) for name, metric in METRICS.items() if metric.mean_of is not None
    }
    summary["model_utility"] = model_utility(summary)
    summary["utility_teacher_forced"] = model_utility(summary, TEACHER_FORCED)
    summary["forget_quality"], summary["neg_log10_fq"] = _forget_quality(samples_model, samples_retain)
    full_utility = _utility(samples_full)
    summary["delta_mu"] = delta_mu(full_utility, summary["model_utility"])
    summary["delta_mu_relative"] = delta_mu_relative(full_utility, summary["model_utility"])
    summary["aggregate"] = aggregate(summary["neg_log10_fq"], summary["delta_mu"])
    for name, score in ATTACKS.items():
        summary[name] = _attack(samples_model, score)
    summary["privleak"] = privleak(summary["mia_min_k"], _attack(samples_retain, ATTACKS["mia_min_k"]))
    summary["abs_privleak"] = absolute(summary["privleak"])
    return {name: summary[name] for name in METRICS}


def mean(table: pd.DataFrame, set: str, column: str) -> Value:
    """Mean of a column over a set's samples; undefined, with the reason, if there is nothing to average."""
    values = _column(table, set, column)
    if not len(values):
        return Value(None, f"the set '{set}' was not measured")
    defined = values[np.isfinite(values)]
    counts = {"samples": len(defined), "dropped": len(values) - len(defined)}
    if not len(defined):
        return Value(None, f"no sample of the set '{set}' has a {column}: {_NEEDS[column]}", counts)
    return Value(float(defined.mean()), counts=counts)


def to_json(summary: Mapping[str, Value]) -> dict[str, dict]:
    """name -> {value, unit, better, reason, counts}, ready for `lethe.io.write_json`."""
    return {
        name: {
            "value": value.value,
            "unit": METRICS[name].unit,
            "better": METRICS[name].better,
            "reason": value.reason,
            "counts": value.counts,
        }
        for name, value in summary.items()
    }


def _column(table: pd.DataFrame, set: str, column: str) -> np.ndarray:
    return table.loc[table["set"] == set, column].to_numpy(np.float64)


def _utility(table: pd.DataFrame) -> Value:
    return model_utility({name: mean(table, *METRICS[name].mean_of) for name in NINE})


def _attack(table: pd.DataFrame, score: str) -> Value:
    return auc(_column(table, "forget", score), _column(table, "holdout", score))


def _forget_quality(model: pd.DataFrame, retain: pd.DataFrame) -> tuple[Value, Value]:
    """Match by sample id first; a sample that only one of the two models has counts as dropped."""
    ratios = [table.loc[table["set"] == "forget"].set_index("sample")["truth_ratio"] for table in (model, retain)]
    both = pd.concat(ratios, axis=1, keys=["model", "retain"], join="outer")
    return forget_quality(both["model"].to_numpy(np.float64), both["retain"].to_numpy(np.float64))
