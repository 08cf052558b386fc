"""What the ETW paper reports, beside what came out here, and whether the two may be compared at all.

Numbers: the main table of arXiv 2604.17785 (TOFU forget10, Llama-3.2-1B) and two statements on the AUC, as a published
reading note on the paper gives them (docs/choices.md#reported-numbers). Each is one run, or a median.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from lethe.analysis.auc import auc_table, definition
from lethe.benchmarks.tofu_metrics import METRICS as OF_TOFU
from lethe.config import MethodConfig, PromptConfig
from lethe.evaluation.chosen import notes, read_chosen
from lethe.evaluation.runs import read_runs
from lethe.io import read_table
from lethe.objectives.ascent import Ascent
from lethe.retain.nll import NLL
from lethe.tables.main import main_table, text
from lethe.tables.render import Column, Layout, stacked, write
from lethe.target import Target
from lethe.tokens.table import considered
from lethe.weightings.uniform import Uniform


class Reported(NamedTuple):
    """A number of the paper; `relation` is "≥" where only a bound is given."""

    method: str
    quantity: str
    value: float
    relation: str = ""


METRICS = ("neg_log10_fq", "delta_mu", "aggregate", "abs_privleak")
MAIN = {  # method: −log10 FQ, ΔMU, Agg., |Priv.|
    "GA": (2.639, 4.271, 11.273, 48.59),
    "WGA": (2.309, 5.365, 12.388, 3.14),
    "SatImp": (2.871, 5.258, 15.093, 19.65),
    "SCN": (2.754, 3.548, 9.772, 39.98),
    "ETW": (0.492, 3.471, 1.707, 9.56),
}
AUC, MARGIN = "AUC", "AUC, margin over the second"
REPORTED = [
    Reported(method, name, value) for method, row in MAIN.items() for name, value in zip(METRICS, row, strict=True)
]
REPORTED += [Reported("Imp", AUC, 0.66), Reported("ETW", MARGIN, 0.06, "≥")]
RIVALS = ("SCN", "SCE", "SatImp", "Imp", "WGA", "TNPO")
"""The methods that the paper's ROC figure names beside ETW."""

SPLIT = "forget10"
DATA = "locuslab/TOFU"
MIN_K = 0.4  # open-unlearning's, behind its privacy leakage
NEW_TOKENS = 200  # open-unlearning's longest generation, behind ROUGE and so behind ΔMU and Agg.
FULL = "open-unlearning/tofu_Llama-3.2-1B-Instruct_full"
RETAIN = "open-unlearning/tofu_Llama-3.2-1B-Instruct_retain90"


def make(source, settings, target: Target) -> None:
    """From token tables, runs and what the searches chose, the paper's numbers beside ours."""
    names = our_names({name: MethodConfig(**method) for name, method in settings.configured.items()})
    auc = {
        place: our_auc(considered(read_table(path), settings.eos), settings.labels, names)
        for place, path in zip(settings.places, source.tokens, strict=True)
    }
    table = reported_table(read_runs(source.runs), stacked(auc, ["model", "split"]), names)
    evaluation = settings.measure | settings.evaluate
    table = with_verdicts(table, settings.benchmark, settings.models, evaluation, settings.prompt)
    search = notes(read_chosen(source.chosen), settings.tried)
    write(readable(table), target.stem(), layout(names, settings.eos, search), target.origin)


def our_names(methods: Mapping[str, MethodConfig]) -> dict[str, str]:
    """Name in the paper -> method of the study, for those that the study has.

    Names are the same but for capitals. The paper's GA is the exception: its small loss of utility shows that it has a
    retain term (docs/choices.md#other-weights), so it is the first method of uniform weighting × ascent × nll, whatever
    its name.
    """
    named = {name.lower(): name for name in methods}
    found = {name: named[name.lower()] for name in (*MAIN, *RIVALS) if name != "GA" and name.lower() in named}
    for name, method in methods.items():
        kinds = (type(method.weighting), type(method.objective), type(method.retain))
        if kinds == (Uniform, Ascent, NLL):
            return {"GA": name} | found
    return found


def _other_data(benchmark: Mapping) -> list[str]:
    """Why a benchmark is not, or may not be, all of TOFU as published."""
    if benchmark["name"] != "tofu":
        return [f"data: {benchmark['name']}"]
    differs = []
    # With a path the repository is not read.
    if benchmark["path"] is None and benchmark["repository"] != DATA:
        differs.append(f"data: {benchmark['repository']}")
    if not benchmark["strict"]:
        differs.append("data: not checked (strict: false)")
    if benchmark["authors"] is not None:
        differs.append(f"{len(benchmark['authors'])} of 200 authors")
    return differs


def comparability(benchmark: Mapping, model: Mapping, split: str, evaluation: Mapping, prompt: Mapping) -> str:
    """`yes`, or `not comparable: <what differs>`.

    Args:
        benchmark, model: sections of the config.
        split: forget split.
        evaluation: `limits`, `max_new_tokens` and `min_k` of that section.
        prompt: section of the config.
    """
    differs = _other_data(benchmark)
    if split != SPLIT:
        differs.append(f"split: {split}")
    if model["source"] != "checkpoints":
        differs.append(f"starting model: made here from source {model['source']}")
    else:
        retain = model["retain"].get("retain90", {"repository": None})
        for what, here, there in (("starting", model["full"], FULL), ("retain", retain, RETAIN)):
            if here["repository"] != there:
                differs.append(f"{what} model: {here['repository'] or 'not of the hub'}")
    if evaluation["limits"]:
        differs.append("not all rows are evaluated")
    if evaluation["max_new_tokens"] != NEW_TOKENS:
        differs.append(f"generations of at most {evaluation['max_new_tokens']} tokens, not {NEW_TOKENS}")
    if evaluation["min_k"] != MIN_K:
        differs.append(f"Min-K with k = {evaluation['min_k']:g}")
    changed = [key for key, value in PromptConfig().model_dump().items() if prompt[key] != value]
    if changed:
        differs.append(f"prompt: {', '.join(changed)}")
    return f"not comparable: {'; '.join(differs)}" if differs else "yes"


def with_verdicts(
    table: pd.DataFrame, benchmark: Mapping, models: Mapping[str, Mapping], evaluation: Mapping, prompt: Mapping
) -> pd.DataFrame:
    """`reported_table` with a column comparable, the `comparability` of each row's model and split.

    Args:
        table: columns model and split.
        benchmark, models, evaluation, prompt: as for `comparability`; models by name.
    """
    places = list(zip(table["model"], table["split"], strict=True))
    verdicts = {
        (model, split): comparability(benchmark, models[model], split, evaluation, prompt)
        for model, split in set(places)
    }
    return table.assign(comparable=[verdicts[place] for place in places])


def our_auc(table: pd.DataFrame, labels: Iterable[str], names: Mapping[str, str]) -> pd.DataFrame:
    """AUC of Imp, and ETW's margin over the best of RIVALS that the study has, per label source of a token table.

    Columns label, quantity, paper_method, our_method, mean (NaN where the study lacks a method).
    """
    rows = []
    known = {paper: ours for paper, ours in names.items() if paper in (*RIVALS, "ETW")}
    scores = {paper: f"weight_{ours}" for paper, ours in known.items()}
    for label in labels:
        auc = auc_table(table, [label], scores.values(), bootstrap=0).set_index("score")["auc"]
        values = {paper: auc[score] for paper, score in scores.items()}
        second = max((name for name in RIVALS if name in values), key=values.get, default=None)
        margin = values["ETW"] - values[second] if second and "ETW" in values else np.nan
        rows.append((label, AUC, "Imp", known.get("Imp"), values.get("Imp", np.nan)))
        pair = f"{known['ETW']} − {known[second]}" if second and "ETW" in known else None
        rows.append((label, MARGIN, "ETW", pair, margin))
    return pd.DataFrame(rows, columns=["label", "quantity", "paper_method", "our_method", "mean"])


def reported_table(runs: pd.DataFrame, auc: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """The paper's numbers beside ours, for each model and split.

    Args:
        runs: one row per (model, split, method, seed).
        auc: `our_auc` with columns model and split.
        names: `our_names` of the study.

    Returns:
        Columns model, split, quantity, label (of AUC rows), paper_method, our_method (missing if the study lacks it),
        relation, reported, mean, sd, n (defined runs), runs.
    """
    ours = main_table(runs, METRICS).set_index(["model", "split", "method"])
    paper = {(entry.method, entry.quantity): entry for entry in REPORTED}
    rows = []
    for model, split in dict.fromkeys(zip(runs["model"], runs["split"], strict=True)):
        for entry in REPORTED:
            if entry.quantity not in METRICS:
                continue
            name = names.get(entry.method)
            row = {"model": model, "split": split, "quantity": entry.quantity, "paper_method": entry.method}
            if (model, split, name) in ours.index:
                found = ours.loc[(model, split, name)]
                row |= {part: found[f"{entry.quantity}_{part}"] for part in ("mean", "sd", "n")}
                row |= {"our_method": name, "runs": found["runs"]}
            rows.append(row)
        here = (auc["model"] == model) & (auc["split"] == split)
        rows += auc[here].to_dict("records")
    columns = ["model", "split", "quantity", "label", "paper_method", "our_method", "mean", "sd", "n", "runs"]
    table = pd.DataFrame(rows, columns=columns)
    entries = [paper[key] for key in zip(table["paper_method"], table["quantity"], strict=True)]
    table.insert(6, "relation", [entry.relation for entry in entries])
    table.insert(7, "reported", [entry.value for entry in entries])
    return table


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """With columns for readers: quantity_heading, reported_text (relation and number), ours.

    `ours` is mean ± sd and how many runs are undefined, or – where the study lacks the method.
    """

    def ours(row: Mapping) -> str:
        if pd.isna(row["our_method"]):
            return "–"
        if row["quantity"] not in METRICS:
            return "undefined" if pd.isna(row["mean"]) else f"{row['mean']:.3f}".replace("-", "−")
        parts = {f"{row['quantity']}_{part}": row[part] for part in ("mean", "sd", "n")}
        return text(parts | {"runs": row["runs"]}, row["quantity"], OF_TOFU)

    names = {metric: OF_TOFU[metric].title(metric) for metric in METRICS}
    rows = table.to_dict("records")
    return table.assign(
        quantity_heading=[names.get(row["quantity"], row["quantity"]) for row in rows],
        reported_text=[f"{row['relation']} {row['reported']:g}".strip() for row in rows],
        ours=[ours(row) for row in rows],
    )


def layout(names: Mapping[str, str], eos: str, search: tuple[str, ...] = ()) -> Layout:
    """How the table is set.

    Args:
        names: `our_names` of the study.
        eos: `figures.eos`.
        search: `lethe.evaluation.chosen.notes`.
    """
    columns = {
        "model": Column("model"),
        "split": Column("split"),
        "quantity_heading": Column("quantity"),
        "label": Column("label source", missing=""),
        "paper_method": Column("method (paper)"),
        "our_method": Column("method (here)", missing="–"),
        "reported_text": Column("reported"),
        "ours": Column("here"),
        "n": Column("n", ".0f", missing=""),
        "comparable": Column("comparable", wide=True),
    }
    ga = f"here {names['GA']}" if "GA" in names else "which this study lacks"
    return Layout(
        "Numbers that the ETW paper reports, beside this study's.",
        columns,
        (
            "Reported: arXiv 2604.17785, main table (TOFU forget10, Llama-3.2-1B) and text, after a published "
            "reading note; most likely one run each. Here: mean ± standard deviation over the n runs with a value; "
            "– where the study lacks the method.",
            "Methods are matched by name. The paper's GA is uniform weighting × ascent × nll, i.e. gradient ascent "
            f"with a retain term, elsewhere called GradDiff; {ga}. Comparable is TOFU as published (content checked) "
            f"with all authors and rows, {SPLIT}, from {FULL}, against {RETAIN}, with generations of at most "
            f"{NEW_TOKENS} tokens.",
            "AUC: of the weights at the starting model, which no seed changes; the margin is ETW's AUC less the "
            f"highest of {', '.join(RIVALS)} in this study. The paper's label source, learning rate, epochs, "
            "strength and temperature are unknown, so even comparable rows may differ for these reasons.",
            definition(eos),
            *search,
        ),
        ("model", "split"),
    )
