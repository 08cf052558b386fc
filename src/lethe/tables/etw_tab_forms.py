"""Does it have to be the entropy? Other functional forms as scores, and what the methods that use them achieve.

Asked for by ETW's reviewers (docs/choices.md#functional-forms). Each form stands raw and rescaled to Σ ω = n
within each answer, as ETW's entropy is; ETW itself takes the full vocabulary and applies T before the entropy.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from lethe.analysis.auc import DRAWN, definition
from lethe.benchmarks.tofu_metrics import METRICS as OF_TOFU
from lethe.evaluation.chosen import notes, read_chosen, resolved
from lethe.evaluation.runs import read_runs
from lethe.io import read_table
from lethe.methods.contract import Weighting, normalise_column
from lethe.methods.forms import NormalisedEntropy, entropy_column
from lethe.tables.correlation import correlation_table
from lethe.tables.main import main_table, text
from lethe.tables.render import Column, Layout, stacked, write
from lethe.target import Target
from lethe.tokens.table import considered
from lethe.weightings.entropy import Entropy
from lethe.weightings.mutual_information import MutualInformation
from lethe.weightings.raw_entropy import RawEntropy
from lethe.weightings.raw_spread import RawSpread
from lethe.weightings.scales.normalised import Normalised
from lethe.weightings.scales.raw import Raw
from lethe.weightings.scored import Scored
from lethe.weightings.scores.column import TableColumn
from lethe.weightings.spread import Spread

if TYPE_CHECKING:
    from lethe.config import MethodConfig

METRICS = ("neg_log10_fq", "delta_mu", "forget_Q_A_Prob", "model_utility")
RESCALED = " rescaled"
KEYS = ["model", "split", "form", "scaling"]


def make(source, settings, target: Target) -> None:
    """From token tables, runs and what the searches chose, each form as a score and as a weight."""
    forms = (settings.temperatures, settings.forms)
    statistics = {}
    for place, path in zip(settings.places, source.tokens, strict=True):
        tokens = considered(with_rescaled(read_table(path), *forms), settings.eos)
        statistics[place] = form_statistics(
            tokens, settings.labels, *forms, settings.bootstrap, settings.seed, settings.cluster
        )
    chosen = read_chosen(source.chosen)
    methods = {name: None if name in settings.swept else method for name, method in settings.configured.items()}
    used = {place: resolved(methods, chosen.get(place, {})) for place in settings.places}
    table = form_table(stacked(statistics, ["model", "split"]), read_runs(source.runs), used, settings.tried)
    search = notes(chosen, settings.tried)
    looks = layout(settings.bootstrap, settings.cluster, settings.eos, settings.passes, search)
    write(readable(table), target.stem(), looks, target.origin)


def form_of(weighting: Weighting) -> tuple[str, str] | None:
    """(column of the token table, "raw" or "rescaled") that a weighting weighs by; None if by no form."""
    match weighting:
        case Entropy():
            return entropy_column(weighting.temperature), "rescaled"
        case RawEntropy():
            return entropy_column(weighting.temperature), "raw"
        case Spread():
            return weighting.form.column, "rescaled"
        case RawSpread():
            return weighting.form.column, "raw"
        case MutualInformation():
            return "mutual_information", "rescaled"
        case TableColumn(name="mutual_information"):
            return "mutual_information", "raw"
        case Scored(scale=Raw()):
            return form_of(weighting.score)
        case Scored(scale=Normalised()) if form_of(weighting.score) is not None:
            return form_of(weighting.score)[0], "rescaled"
        case _:
            return None


def _names(table: pd.DataFrame, temperatures: Iterable[float], forms: Iterable[str]) -> list[str]:
    stored = ["mutual_information"] if "mutual_information" in table.columns else []
    return list(dict.fromkeys([*map(entropy_column, temperatures), *forms, *stored]))


def with_rescaled(table: pd.DataFrame, temperatures: Iterable[float], forms: Iterable[str]) -> pd.DataFrame:
    """The token table with a column `<form> rescaled` for each form: n · F / Σ F within each answer.

    An answer's tokens are all needed for that, as in training, its end token included; rows may be left out afterwards.
    """
    names = _names(table, temperatures, forms)
    return table.assign(**{name + RESCALED: normalise_column(table[name], table["sample"]) for name in names})


def form_statistics(
    table: pd.DataFrame,
    labels: Iterable[str],
    temperatures: Iterable[float],
    forms: Iterable[str],
    bootstrap: int = 1000,
    seed: int = 0,
    cluster: str = "sample",
) -> pd.DataFrame:
    """AUC and point-biserial r of each form, raw and rescaled.

    Args:
        table: token table of one model and split, `with_rescaled` by the same temperatures and forms.
        labels: label sources.
        temperatures: those of the entropies; each appears raw, rescaled, and normalised by ln V. The last has the AUC
            and r of the raw entropy whatever V is, so its row is a copy of that; rescaled it would be ETW's ω.
        forms: further form columns of the token table. Mutual information is added where the table has it.
        bootstrap, seed, cluster: see `correlation_table`.

    Returns:
        The columns of `correlation_table`, with form and scaling in place of score.
    """
    labels, temperatures = list(labels), list(temperatures)
    names = _names(table, temperatures, forms)
    scores = [score for name in names for score in (name, name + RESCALED)]
    result = correlation_table(table, labels, scores, bootstrap, seed, cluster)
    rescaled = result["score"].str.endswith(RESCALED)
    result.insert(2, "scaling", rescaled.map({True: "rescaled", False: "raw"}))
    result = result.assign(score=result["score"].str.removesuffix(RESCALED)).rename(columns={"score": "form"})
    normalised = {entropy_column(t): NormalisedEntropy(temperature=t).column for t in temperatures}
    missing = [entropy for entropy, column in normalised.items() if column not in names]
    copied = result[result["form"].isin(missing) & ~rescaled]
    result = pd.concat([result, copied.assign(form=copied["form"].map(normalised))])
    return result.sort_values("label", key=lambda column: column.map(labels.index), kind="stable", ignore_index=True)


def form_table(
    statistics: pd.DataFrame,
    runs: pd.DataFrame,
    methods: "Mapping[tuple[str, str], Mapping[str, MethodConfig]]",
    tried: Mapping[str, int],
) -> pd.DataFrame:
    """Statistics of forms with the results of the methods that weigh by them: mean, sd, n over seeds.

    Args:
        statistics: `form_statistics` with columns model and split.
        runs: one row per (model, split, method, seed), as in `lethe.tables.main.main_table`.
        methods: (model, split) -> method -> what it is there. A search may choose another temperature for each place.
        tried: method -> configurations that it was chosen from, 1 without a search.

    Returns:
        `statistics` with method (missing where no method of the study has the form; one row per method), tried, runs,
        and `<metric>_mean`, `_sd`, `_n` for METRICS.
    """
    used = [
        (*place, name, *form)
        for place, there in methods.items()
        for name, method in there.items()
        if (form := form_of(method.weighting)) is not None
    ]
    keys = ["model", "split", "method", "form", "scaling"]
    joined = statistics.merge(pd.DataFrame(used, columns=keys, dtype="str"), on=KEYS, how="left")
    joined["tried"] = joined["method"].map(tried).astype("Int64")
    return joined.merge(main_table(runs, METRICS), on=["model", "split", "method"], how="left")


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """With a column `<metric>_text` each: mean ± sd, and how many runs are undefined; missing where no method is."""
    rows = table.to_dict("records")
    shown = {
        f"{name}_text": [None if pd.isna(row["runs"]) else text(row, name, OF_TOFU) for row in rows] for name in METRICS
    }
    return table.assign(**shown)


def layout(bootstrap: int, cluster: str, eos: str, passes: int | None, search: tuple[str, ...] = ()) -> Layout:
    """How the table is set.

    Args:
        bootstrap, cluster, eos: as in the section `figures` of the config.
        passes: `embedding_noise.passes` where the study has mutual information, else None.
        search: `lethe.evaluation.chosen.notes`.
    """
    columns = {
        "model": Column("model"),
        "split": Column("split"),
        "label": Column("label source"),
        "form": Column("form"),
        "scaling": Column("scaling"),
        "auc": Column("AUC", ".3f", interval=("auc_low", "auc_high")),
        "pearson": Column("point-biserial r", ".3f", interval=("pearson_low", "pearson_high")),
        "method": Column("method", missing="–"),
        "tried": Column("configurations tried", ".0f", missing="–"),
        "runs": Column("n", ".0f", missing="–"),
    }
    for name in METRICS:
        columns[f"{name}_text"] = Column(OF_TOFU[name].title(name), missing="–")
    columns["reason"] = Column("remark", missing="", wide=True)
    mutual = (
        f"mutual_information: I = H(mean p_k) − mean H(p_k) over K = {passes} passes of the starting model, T = 1, "
        "with Gaussian noise on the input embeddings: current models have no dropout layers to draw from, and an "
        "ensemble over seeds would cost a fine-tuning for each member.",
    )
    return Layout(
        "Functional forms of predictive indecision as scores of tokens, and as weights of methods.",
        columns,
        (
            "raw: the value as it is; rescaled: to Σ ω = n within each answer, as ETW does with the entropy over "
            "the full vocabulary, T applied before it. normalised_entropy is H / ln V; divided by a constant, AUC "
            "and r are those of H, and rescaled it would be ETW exactly. "
            f"Brackets: 95 % interval, {bootstrap} bootstrap resamples of "
            f"{DRAWN[cluster]}.",
            definition(eos),
            *(mutual if passes is not None else ()),
            "Results are means ± standard deviations over n seeds; –: no method of the study weighs by this form. A "
            "raw form changes the scale of the forget loss, so compare it at a strength of its own. Configurations "
            "tried: what a search chose the method's configuration from; 1 without a search.",
            *search,
        ),
        ("model", "split", "label"),
    )
