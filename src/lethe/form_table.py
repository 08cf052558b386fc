"""Does it have to be the entropy? Other functional forms as scores, and what the methods that use them achieve.

Asked for by ETW's reviewers (arXiv 2604.17785; §9.2 of our specification). Each form stands raw and rescaled to Σ ω = n
within each answer, as ETW's entropy is; ETW itself takes the full vocabulary and applies T before the entropy.
"""

from collections.abc import Iterable, Mapping

import pandas as pd

from lethe.correlation import correlation_table
from lethe.listing import Column, Layout
from lethe.method import Weighting, normalise_column
from lethe.tables import cell, heading, main_table
from lethe.tokens import entropy_column
from lethe.weightings.entropy import Entropy
from lethe.weightings.mutual_information import MutualInformation
from lethe.weightings.raw_entropy import RawEntropy
from lethe.weightings.spread import Spread

METRICS = ("neg_log10_fq", "delta_mu", "forget_Q_A_Prob", "model_utility")
RESCALED = " rescaled"
KEYS = ["model", "split", "form", "scaling"]


def normalised_column(temperature: float) -> str:
    """Name of the column of H / ln V at a temperature."""
    return f"normalised_entropy_T{float(temperature)}"


def form_of(weighting: Weighting) -> tuple[str, str] | None:
    """(column of the token table, "raw" or "rescaled") that a weighting weighs by; None if by no form.

    An entropy divided by a `unit` other than 1 stands with the normalised entropy.
    """
    match weighting:
        case Entropy():
            return entropy_column(weighting.temperature), "rescaled"
        case RawEntropy() if weighting.unit == 1:
            return entropy_column(weighting.temperature), "raw"
        case RawEntropy():
            return normalised_column(weighting.temperature), "raw"
        case Spread():
            return weighting.form.column, "rescaled"
        case MutualInformation():
            return "mutual_information", "rescaled"
        case _:
            return None


def rescale(table: pd.DataFrame, column: str) -> pd.Series:
    """n · F / Σ F within each sample, its end token included; 1 throughout a sample whose F are all 0.

    Values below 0, which rounding may leave, count as 0. The same as `TokenBatch.normalise` of a training batch.
    """
    return normalise_column(table[column], table["sample"])


def form_statistics(
    table: pd.DataFrame,
    labels: Iterable[str],
    temperatures: Iterable[float],
    forms: Iterable[str],
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """AUC and point-biserial r of each form, raw and rescaled.

    Args:
        table: token table of one model and split.
        labels: label sources.
        temperatures: those of the entropies; each appears raw, rescaled, and normalised by ln V. The last has the AUC
            and r of the raw entropy whatever V is, so it needs no column of its own; rescaled it would be ETW's ω.
        forms: further form columns of the token table. Mutual information is added where the table has it.
        bootstrap, seed: see `correlation_table`.

    Returns:
        The columns of `correlation_table`, with form and scaling in place of score.
    """
    temperatures = list(temperatures)
    entropies = [entropy_column(t) for t in temperatures]
    extra = [*forms, *(["mutual_information"] if "mutual_information" in table.columns else [])]
    both = list(dict.fromkeys([*entropies, *extra]))
    added = {name + RESCALED: rescale(table, name) for name in both}
    added |= {normalised_column(t): table[entropy_column(t)] for t in temperatures if normalised_column(t) not in both}
    scores = [name for form in both for name in (form, form + RESCALED)]
    scores += [name for name in added if not name.endswith(RESCALED)]
    result = correlation_table(table.assign(**added), labels, scores, bootstrap, seed)
    rescaled = result["score"].str.endswith(RESCALED)
    result.insert(2, "scaling", rescaled.map({True: "rescaled", False: "raw"}))
    return result.assign(score=result["score"].str.removesuffix(RESCALED)).rename(columns={"score": "form"})


def form_table(
    statistics: pd.DataFrame,
    runs: pd.DataFrame,
    methods: Mapping[tuple[str, str], Mapping[str, tuple[str, str]]],
) -> pd.DataFrame:
    """Statistics of forms with the results of the methods that weigh by them: mean, sd, n over seeds.

    Args:
        statistics: `form_statistics` with columns model and split.
        runs: one row per (model, split, method, seed), as in `lethe.tables.main_table`.
        methods: (model, split) -> method -> (column, scaling) as from `form_of`. A search may choose another
            temperature for each model and split.

    Returns:
        `statistics` with method (missing where no method of the study has the form; one row per method), runs, and
        `<metric>_mean`, `_sd`, `_n` for METRICS.
    """
    used = [(*place, name, *form) for place, forms in methods.items() for name, form in forms.items()]
    keys = ["model", "split", "method", "form", "scaling"]
    joined = statistics.merge(pd.DataFrame(used, columns=keys, dtype="str"), on=KEYS, how="left")
    return joined.merge(main_table(runs, METRICS), on=["model", "split", "method"], how="left")


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """With a column of text per metric: mean ± sd, and how many runs are undefined; missing where no method is."""
    rows = table.to_dict("records")
    texts = {name: [None if pd.isna(row["runs"]) else "".join(cell(row, name)) for row in rows] for name in METRICS}
    return table.assign(**texts)


def layout(bootstrap: int) -> Layout:
    """How the table is set."""
    columns = {
        "model": Column("model"),
        "split": Column("split"),
        "label": Column("label source"),
        "form": Column("form"),
        "scaling": Column("scaling"),
        "auc": Column("AUC", ".3f", interval=("auc_low", "auc_high")),
        "pearson": Column("point-biserial r", ".3f", interval=("pearson_low", "pearson_high")),
        "method": Column("method", missing="–"),
        "runs": Column("n", ".0f", missing="–"),
    }
    for name in METRICS:
        columns[name] = Column(heading(name), missing="–")
    columns["reason"] = Column("remark", missing="", wide=True)
    return Layout(
        "Functional forms of predictive indecision as scores of tokens, and as weights of methods.",
        columns,
        (
            "raw: the value as it is; rescaled: to Σ ω = n within each answer, as ETW does with the entropy over "
            "the full vocabulary, T applied before it. normalised_entropy is H / ln V; divided by a constant, AUC "
            "and r are those of H, and rescaled it would be ETW exactly. Methods whose entropy is divided by "
            f"another unit stand there too. Brackets: 95 % interval, {bootstrap} bootstrap resamples of whole "
            "answers.",
            "Results are means ± standard deviations over n seeds; –: no method of the study weighs by this form. A "
            "raw form changes the scale of the forget loss, so compare it at a strength of its own.",
        ),
        ("model", "split", "label"),
    )
