"""Metrics of benchmarks in the form of TOFU (Maini et al. 2024, arXiv 2401.06121).

Names are those of locuslab/open-unlearning ("OU"), so that values can be held against published ones; the metrics are
TOFU's unless `source` says otherwise. To add the mean of a per-sample value, add a column in `samples` and a `Metric`
with `_mean` here; anything else is a function of a `lethe.metrics.summary.Case`.
"""

import math

import numpy as np
import pandas as pd

from lethe.benchmarks.answers import answer_values
from lethe.benchmarks.contract import Probe
from lethe.metrics import Headline, Metric, SampleMetric, Value
from lethe.metrics.aggregate import absolute, aggregate, delta_mu, delta_mu_relative
from lethe.metrics.forget_quality import forget_quality
from lethe.metrics.membership import auc, privleak
from lethe.metrics.probability import normalised
from lethe.metrics.summary import Case, against_retain, mean_of
from lethe.metrics.truth_ratio import closeness, knowledge, superiority, truth_ratio
from lethe.metrics.utility import harmonic_mean

TOFU = "Maini et al. 2024, arXiv 2401.06121"
OU = "locuslab/open-unlearning"
ETW = "Koh et al. 2026, arXiv 2604.17785"

PREFIXES = {"forget": "forget", "retain": "retain", "real_authors": "ra", "world_facts": "wf"}
"""Set -> prefix of its metrics; `holdout` has none of its own: it is the other side of membership attacks."""

NINE = (
    "retain_Q_A_Prob",
    "retain_Q_A_ROUGE",
    "retain_Truth_Ratio",
    "ra_Q_A_Prob_normalised",
    "ra_Q_A_ROUGE",
    "ra_Truth_Ratio",
    "wf_Q_A_Prob_normalised",
    "wf_Q_A_ROUGE",
    "wf_Truth_Ratio",
)
"""Parts of the model utility."""

TEACHER_FORCED = tuple(name for name in NINE if not name.endswith("ROUGE"))
"""The six that need no generation; for utility during training (ours)."""

PASS = 0.05
"""Forget quality above which a model is not told apart from the retain model at the 5 % level (TOFU)."""

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


def samples(
    tokens: pd.DataFrame, generations: pd.DataFrame, probes: list[Probe], min_k: float, ou_compat: bool
) -> pd.DataFrame:
    """One row per (set, sample), sorted; NaN = undefined. A value stays with its sample: none shifts the others.

    Columns, each NaN in sets that it is not defined for:
        n_tokens, avg_loss, prob, extraction_strength, exact_memorization, min_k, min_k_plus_plus, zlib,
        rouge_l_recall: of the answer, as in `answer_values`
        prob_normalised: real authors and world facts
        paraphrase_avg_loss, paraphrase_prob: of the paraphrased answer
        perturbed_avg_loss, perturbed_prob: means over the perturbed answers; defined if all of them are
        truth_ratio: raw; truth_ratio_form: as aggregated, min(TR, 1/TR) for forget, max(0, 1 − TR) elsewhere
        knowledge: forget
    """
    values = answer_values(tokens, probes, generations, min_k, ou_compat)
    keys = ["set", "sample"]
    table = _of_kind(values, "answer").set_index(keys)
    paraphrase = _of_kind(values, "paraphrase").set_index(keys).reindex(table.index)
    false = (
        _of_kind(values, "perturbed")
        .groupby(keys)
        .agg(avg_loss=("avg_loss", "mean"), prob=("prob", "mean"), defined=("avg_loss", "count"))
        .reindex(table.index)
    )
    expected = {(probe.set, probe.id): sum(kind == "perturbed" for kind, _ in probe.score) for probe in probes}
    n_false = np.array([expected[key] for key in table.index], dtype=np.int64)  # [S]
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


def _mean(set: str, column: str):
    return mean_of(set, column, _NEEDS[column])


def _forget_quality(model: Case, retain: Case) -> tuple[Value, Value]:
    """Match by sample id first; a sample that only one of the two models has counts as dropped."""
    ratios = [
        case.samples.loc[case.samples["set"] == "forget"].set_index("sample")["truth_ratio"] for case in (model, retain)
    ]
    both = pd.concat(ratios, axis=1, keys=["model", "retain"], join="outer")
    return forget_quality(both["model"].to_numpy(np.float64), both["retain"].to_numpy(np.float64))


def _against_full(of):
    """A loss of model utility against the full model."""
    return lambda case: of(case.full["model_utility"], case["model_utility"])


def _of_a_set(name: str) -> dict[str, Metric]:
    """Metrics that each of the four question/answer sets has, as means over its samples."""
    prefix, words = PREFIXES[name], name.replace("_", " ")
    keep = "lower" if name == "forget" else "higher"
    short = {"forget": ("forget probability", "forget ROUGE-L")}.get(name, (None, None))
    metrics = {
        f"{prefix}_Q_A_Prob": Metric(
            "probability",
            keep,
            f"Length-normalised probability of the answer, exp(−mean token loss); {words} set.",
            TOFU,
            _mean(name, "prob"),
            short[0],
        ),
        f"{prefix}_Q_A_ROUGE": Metric(
            "recall",
            keep,
            f"ROUGE-L recall of the greedy generation against the answer; {words} set.",
            TOFU,
            _mean(name, "rouge_l_recall"),
            short[1],
        ),
        f"{prefix}_Q_A_PERT_Prob": Metric(
            "probability",
            None,
            f"Length-normalised probability of the perturbed answers, mean per question; {words} set.",
            TOFU,
            _mean(name, "perturbed_prob"),
        ),
    }
    if name in ("forget", "retain"):
        metrics[f"{prefix}_Q_A_PARA_Prob"] = Metric(
            "probability",
            None,
            f"Length-normalised probability of the paraphrased answer, original question; {words} set.",
            TOFU,
            _mean(name, "paraphrase_prob"),
        )
    else:
        metrics[f"{prefix}_Q_A_Prob_normalised"] = Metric(
            "probability",
            "higher",
            f"Probability of the answer over that of all options; {words} set.",
            TOFU,
            _mean(name, "prob_normalised"),
        )
    if name == "forget":
        metrics["forget_truth_ratio"] = Metric(
            "ratio",
            "higher",
            "Mean min(TR, 1/TR) of the forget set: 1 when false and true answers are equally likely.",
            TOFU,
            _mean(name, "truth_ratio_form"),
            "forget truth ratio",
        )
        metrics["forget_knowledge"] = Metric(
            "probability",
            "lower",
            "Mean true / (true + false) of the forget set, the truth ratio's terms as a share.",
            f"meta-evaluation of {OU}",
            _mean(name, "knowledge"),
        )
    else:
        metrics[f"{prefix}_Truth_Ratio"] = Metric(
            "ratio",
            "higher",
            f"Mean max(0, 1 − TR): how much likelier the true answer is than false ones; {words} set.",
            f"{TOFU}; form of {OU}",
            _mean(name, "truth_ratio_form"),
        )
    return metrics


def _attack(column: str, score: str, source: str) -> Metric:
    return Metric(
        "AUC",
        "half",
        f"Membership attack by {score}: 1 when forget data look like training data.",
        source,
        lambda case: auc(case.column("forget", column), case.column("holdout", column)),
    )


METRICS: dict[str, Metric] = {
    **{name: metric for set in PREFIXES for name, metric in _of_a_set(set).items()},
    "model_utility": Metric(
        "harmonic mean",
        "higher",
        "Harmonic mean of probability, ROUGE and truth ratio on retain, real authors and world facts.",
        TOFU,
        lambda case: harmonic_mean({name: case[name] for name in NINE}),
        "MU",
        words="model utility",
    ),
    "utility_teacher_forced": Metric(
        "harmonic mean",
        "higher",
        "Harmonic mean of the six parts of model utility that need no generation; for utility during training.",
        "Lethe, after TOFU",
        lambda case: harmonic_mean({name: case[name] for name in TEACHER_FORCED}),
        words="teacher-forced utility",
    ),
    "forget_quality": Metric(
        "p-value",
        "higher",
        "Two-sample KS test between the truth ratios of the model and of the retain model, forget set.",
        TOFU,
        against_retain(lambda model, retain: _forget_quality(model, retain)[0]),
        "FQ",
        ".3g",
    ),
    "neg_log10_fq": Metric(
        "−log10 p",
        "lower",
        "−log10 of the forget quality.",
        ETW,
        against_retain(lambda model, retain: _forget_quality(model, retain)[1]),
        "−log₁₀ FQ",
        words="−log₁₀ forget quality",
    ),
    "delta_mu": Metric(
        "percentage points",
        "lower",
        "Utility lost: 100 · (model utility of the full model − of this one).",
        ETW,
        _against_full(delta_mu),
        "ΔMU (points)",
        ".2f",
    ),
    "delta_mu_relative": Metric(
        "per cent",
        "lower",
        "Utility lost, as a share of the full model's: 100 · (its model utility − this one's) / its.",
        "Lethe, the other reading of ETW's ΔMU",
        _against_full(delta_mu_relative),
    ),
    "aggregate": Metric(
        "−log10 p · percentage points",
        "lower",
        "−log10 FQ × ΔMU; undefined where no utility is lost.",
        ETW,
        lambda case: aggregate(case["neg_log10_fq"], case["delta_mu"]),
        "Agg.",
    ),
    "extraction_strength": Metric(
        "share of tokens",
        "lower",
        "Longest correctly predicted end of the answer, as a share of it; forget set.",
        "Carlini et al. 2021, arXiv 2012.07805",
        _mean("forget", "extraction_strength"),
        "ES",
    ),
    "exact_memorization": Metric(
        "share of tokens",
        "lower",
        "Share of answer tokens that are the arg-max prediction; forget set.",
        "Tirumala et al. 2022, arXiv 2205.10770",
        _mean("forget", "exact_memorization"),
        "EM",
    ),
    "mia_loss": _attack("avg_loss", "mean token loss", "Yeom et al. 2018, arXiv 1709.01604"),
    "mia_min_k": _attack("min_k", "the least likely tokens (Min-K)", "Shi et al. 2024, arXiv 2310.16789"),
    "mia_min_k_plus_plus": _attack(
        "min_k_plus_plus", "the least likely tokens, standardised (Min-K++)", "Zhang et al. 2024, arXiv 2404.02936"
    ),
    "mia_zlib": _attack(
        "zlib", "mean token loss per compressed byte of the answer", "Carlini et al. 2021, arXiv 2012.07805"
    ),
    "privleak": Metric(
        "per cent",
        "zero",
        "Relative difference of 1 − AUC (Min-K) to the retain model.",
        "Shi et al. 2024, MUSE, arXiv 2407.06460",
        against_retain(lambda model, retain: privleak(model["mia_min_k"], retain["mia_min_k"])),
        "Priv. (%)",
        ".2f",
    ),
    "abs_privleak": Metric(
        "per cent",
        "lower",
        "Absolute value of privleak.",
        ETW,
        lambda case: absolute(case["privleak"]),
        "|Priv.| (%)",
        ".2f",
    ),
}

HEADLINE = Headline(
    forgetting="neg_log10_fq",
    utility="model_utility",
    loss="delta_mu",
    score="aggregate",
    known="forget_Q_A_Prob",
    apart="forget_quality",
    passed=(-math.log10(PASS), f"p = {PASS}"),
    cheap_utility="utility_teacher_forced",
)

MAIN = (
    "neg_log10_fq",
    "delta_mu",
    "aggregate",
    "abs_privleak",
    "model_utility",
    "forget_Q_A_Prob",
    "forget_Q_A_ROUGE",
    "extraction_strength",
)

BY_SEED = ("neg_log10_fq", "delta_mu", "abs_privleak", "aggregate", "model_utility", "forget_Q_A_Prob")


def _truth_ratio_distance(forget: pd.DataFrame) -> pd.Series:
    """|ln TR − ln TR of the retain model| of each row; for each run, before any average."""
    log_ratio = np.log(forget["truth_ratio"].where(forget["truth_ratio"] > 0))
    retain = forget["run"] == "retain"
    return (log_ratio - forget["sample"].map(dict(zip(forget["sample"][retain], log_ratio[retain], strict=True)))).abs()


BY_SAMPLE = {
    "prob": SampleMetric("forget probability", lambda forget: forget["prob"]),
    "truth_ratio_distance": SampleMetric(
        "|ln TR − ln TR retain|",
        _truth_ratio_distance,
        "|ln TR − ln TR retain|: how far a sample's truth ratio is from the retain model's.",
    ),
    "rouge_l_recall": SampleMetric("forget ROUGE-L", lambda forget: forget["rouge_l_recall"]),
}
