"""What is reported about a model, in which unit, and which direction is better.

Every metric is a pure function of stored per-token measurements: a definition can be changed, or one added,
without running a model again. A metric that cannot be computed is an undefined `Value` with the reason, never
0 or NaN, so that tables and figures can show it and count it. Names are those of locuslab/open-unlearning
("OU"), so that values can be held against published ones; the metrics are defined by Maini et al. 2024 (TOFU,
arXiv 2401.06121) unless `source` says otherwise.

To add the mean of a per-sample value, add a column in `samples.py` and a `Metric` with `mean_of` here;
anything else is a function of its own, called in `summary.py`.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

TOFU = "Maini et al. 2024, arXiv 2401.06121"
OU = "locuslab/open-unlearning"
ETW = "Koh et al. 2026, arXiv 2604.17785"

PREFIXES = {"forget": "forget", "retain": "retain", "real_authors": "ra", "world_facts": "wf"}
"""Set -> prefix of its metrics; `holdout` has none of its own: it is the other side of membership attacks."""


@dataclass(frozen=True)
class Value:
    """A number, or the reason why there is none.

    Attributes:
        value: finite number in the metric's unit; None = undefined.
        reason: why the value is undefined; on a defined value a remark, e.g. which part makes a utility 0.
        counts: samples behind the value, e.g. {"samples": 399, "dropped": 1}; dropped = undefined for this
            metric.
    """

    value: float | None
    reason: str | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("an undefined value needs a reason")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"{self.value} is no value; use None with a reason")


@dataclass(frozen=True)
class Metric:
    """Declaration of a summary metric.

    Attributes:
        name: key in summaries and tables.
        unit: e.g. "probability", "p-value", "percentage points".
        better: which way is better; "half" and "zero" name the value to reach, None = no preference.
        description: one line.
        source: where the definition comes from.
        mean_of: (set, column of the per-sample table) if the metric is a plain mean over the samples of a
            set.
    """

    name: str
    unit: str
    better: Literal["higher", "lower", "zero", "half"] | None
    description: str
    source: str
    mean_of: tuple[str, str] | None = None


def _of_a_set(name: str) -> list[Metric]:
    """Metrics that each of the four question/answer sets has, as means over its samples."""
    prefix, words = PREFIXES[name], name.replace("_", " ")
    keep = "lower" if name == "forget" else "higher"
    metrics = [
        Metric(
            f"{prefix}_Q_A_Prob",
            "probability",
            keep,
            f"Length-normalised probability of the answer, exp(−mean token loss); {words} set.",
            TOFU,
            (name, "prob"),
        ),
        Metric(
            f"{prefix}_Q_A_ROUGE",
            "recall",
            keep,
            f"ROUGE-L recall of the greedy generation against the answer; {words} set.",
            TOFU,
            (name, "rouge_l_recall"),
        ),
        Metric(
            f"{prefix}_Q_A_PERT_Prob",
            "probability",
            None,
            f"Length-normalised probability of the perturbed answers, mean per question; {words} set.",
            TOFU,
            (name, "perturbed_prob"),
        ),
    ]
    if name in ("forget", "retain"):
        metrics.append(
            Metric(
                f"{prefix}_Q_A_PARA_Prob",
                "probability",
                None,
                f"Length-normalised probability of the paraphrased answer, original question; {words} set.",
                TOFU,
                (name, "paraphrase_prob"),
            )
        )
    else:
        metrics.append(
            Metric(
                f"{prefix}_Q_A_Prob_normalised",
                "probability",
                "higher",
                f"Probability of the answer over that of all options; {words} set.",
                TOFU,
                (name, "prob_normalised"),
            )
        )
    if name == "forget":
        metrics.append(
            Metric(
                "forget_truth_ratio",
                "ratio",
                "higher",
                "Mean min(TR, 1/TR) of the forget set: 1 when false and true answers are equally likely.",
                TOFU,
                (name, "truth_ratio_form"),
            )
        )
        metrics.append(
            Metric(
                "forget_knowledge",
                "probability",
                "lower",
                "Mean true / (true + false) of the forget set, the truth ratio's terms as a share.",
                f"meta-evaluation of {OU}",
                (name, "knowledge"),
            )
        )
    else:
        metrics.append(
            Metric(
                f"{prefix}_Truth_Ratio",
                "ratio",
                "higher",
                f"Mean max(0, 1 − TR): how much likelier the true answer is than false ones; {words} set.",
                f"{TOFU}; form of {OU}",
                (name, "truth_ratio_form"),
            )
        )
    return metrics


def _attack(name: str, score: str, source: str) -> Metric:
    return Metric(
        name,
        "AUC",
        "half",
        f"Membership attack by {score}: 1 when forget data look like training data.",
        source,
    )


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in [
        *(metric for name in PREFIXES for metric in _of_a_set(name)),
        Metric(
            "model_utility",
            "harmonic mean",
            "higher",
            "Harmonic mean of probability, ROUGE and truth ratio on retain, real authors and world facts.",
            TOFU,
        ),
        Metric(
            "utility_teacher_forced",
            "harmonic mean",
            "higher",
            "Harmonic mean of the six parts of model utility that need no generation; for utility during training.",
            "Lethe, after TOFU",
        ),
        Metric(
            "forget_quality",
            "p-value",
            "higher",
            "Two-sample KS test between the truth ratios of the model and of the retain model, forget set.",
            TOFU,
        ),
        Metric("neg_log10_fq", "−log10 p", "lower", "−log10 of the forget quality.", ETW),
        Metric(
            "delta_mu",
            "percentage points",
            "lower",
            "Utility lost: 100 · (model utility of the full model − of this one).",
            ETW,
        ),
        Metric(
            "delta_mu_relative",
            "per cent",
            "lower",
            "Utility lost, as a share of the full model's: 100 · (its model utility − this one's) / its.",
            "Lethe, the other reading of ETW's ΔMU",
        ),
        Metric(
            "aggregate",
            "−log10 p · percentage points",
            "lower",
            "−log10 FQ × ΔMU; undefined where no utility is lost.",
            ETW,
        ),
        Metric(
            "extraction_strength",
            "share of tokens",
            "lower",
            "Longest correctly predicted end of the answer, as a share of it; forget set.",
            "Carlini et al. 2021, arXiv 2012.07805",
            ("forget", "extraction_strength"),
        ),
        Metric(
            "exact_memorization",
            "share of tokens",
            "lower",
            "Share of answer tokens that are the arg-max prediction; forget set.",
            "Tirumala et al. 2022, arXiv 2205.10770",
            ("forget", "exact_memorization"),
        ),
        _attack("mia_loss", "mean token loss", "Yeom et al. 2018, arXiv 1709.01604"),
        _attack("mia_min_k", "the least likely tokens (Min-K)", "Shi et al. 2024, arXiv 2310.16789"),
        _attack(
            "mia_min_k_plus_plus",
            "the least likely tokens, standardised (Min-K++)",
            "Zhang et al. 2024, arXiv 2404.02936",
        ),
        _attack(
            "mia_zlib",
            "mean token loss per compressed byte of the answer",
            "Carlini et al. 2021, arXiv 2012.07805",
        ),
        Metric(
            "privleak",
            "per cent",
            "zero",
            "Relative difference of 1 − AUC (Min-K) to the retain model.",
            "Shi et al. 2024, MUSE, arXiv 2407.06460",
        ),
        Metric("abs_privleak", "per cent", "lower", "Absolute value of privleak.", ETW),
    ]
}
