"""The paper's numbers are those of the paper, ours stand beside them, and only the same set-up is comparable."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from lethe.analysis.auc import definition
from lethe.benchmarks.tofu_files import TofuConfig
from lethe.config import EvaluateConfig, MeasureConfig, MethodConfig, PromptConfig, load_file
from lethe.tables.etw_reported import (
    FULL,
    MAIN,
    MARGIN,
    METRICS,
    REPORTED,
    RETAIN,
    comparability,
    layout,
    our_auc,
    our_names,
    readable,
    reported_table,
    with_verdicts,
)

TOFU = TofuConfig(name="tofu").model_dump()
CHECKPOINTS = {
    "source": "checkpoints",
    "full": {"repository": FULL, "path": None},
    "retain": {"retain90": {"repository": RETAIN, "path": None}},
}


def method(weighting="uniform", objective="ascent", retain="nll") -> MethodConfig:
    return MethodConfig(weighting=weighting, objective=objective, retain=retain)


METHODS = {
    "GA": method(retain="none"),
    "GradDiff": method(),
    "etw": method("entropy"),
    "Imp": method("importance"),
    "NPO": method(objective="npo"),
}


WHOLE = MeasureConfig().model_dump() | EvaluateConfig().model_dump()
PROMPT = PromptConfig().model_dump()


def test_reported_numbers_agree_with_each_other():
    for fq, utility, aggregate, _ in MAIN.values():
        assert fq * utility == pytest.approx(aggregate, abs=0.005)  # Agg. = −log10 FQ × ΔMU, of rounded factors
    # −log10 FQ lies on the lattice of the exact KS test of 400 samples against 400
    for method_, k in {"GA": 52, "WGA": 49, "SatImp": 54, "SCN": 53, "ETW": 27}.items():
        p = ks_2samp(np.arange(400), np.arange(400) + k - 0.5).pvalue
        assert -np.log10(p) == pytest.approx(MAIN[method_][0], abs=6e-4)
    # Typed in twice: nothing else holds the last column.
    assert {name: row[3] for name, row in MAIN.items()} == {
        **{"GA": 48.59, "WGA": 3.14, "SatImp": 19.65},
        **{"SCN": 39.98, "ETW": 9.56},
    }
    assert {(r.method, r.quantity, r.value, r.relation) for r in REPORTED if r.quantity not in METRICS} == {
        ("Imp", "AUC", 0.66, ""),
        ("ETW", MARGIN, 0.06, "≥"),
    }


def test_ga_is_matched_by_its_parts_and_others_by_name():
    names = our_names(METHODS)
    assert names == {"GA": "GradDiff", "ETW": "etw", "Imp": "Imp"}
    assert "GA" not in our_names({"GA": method(retain="none")})  # retain-free ascent is not the paper's GA
    assert "here GradDiff" in " ".join(layout(names, "drop").notes)
    assert "lacks" in " ".join(layout({}, "drop").notes)
    assert layout(names, "drop", ("Tuned.",)).notes[-2:] == (definition("drop"), "Tuned.")


def test_the_same_set_up_is_comparable():
    assert comparability(TOFU, CHECKPOINTS, "forget10", WHOLE, PROMPT) == "yes"
    files = TOFU | {"path": "mine", "repository": "x/TOFU"}  # a checked folder; the repository is not read
    assert comparability(files, CHECKPOINTS, "forget10", WHOLE, PROMPT) == "yes"


@pytest.mark.parametrize(
    ("benchmark", "change", "split", "evaluation", "reason"),
    [
        ({"name": "fictional"}, {}, "forget10", {}, "data: fictional"),
        (TOFU | {"authors": [1, 2]}, {}, "forget10", {}, "2 of 200 authors"),
        (TOFU | {"repository": "x/TOFU"}, {}, "forget10", {}, "data: x/TOFU"),
        (TOFU | {"strict": False}, {}, "forget10", {}, "data: not checked (strict: false)"),
        (TOFU | {"path": "mine", "strict": False}, {}, "forget10", {}, "data: not checked (strict: false)"),
        (TOFU, {}, "forget05", {}, "split: forget05"),
        (TOFU, {"source": "gguf"}, "forget10", {}, "starting model: made here from source gguf"),
        (TOFU, {"full": {"repository": "x/y"}}, "forget10", {}, "starting model: x/y"),
        (TOFU, {"full": {"repository": None}}, "forget10", {}, "starting model: not of the hub"),
        (TOFU, {"retain": {"retain90": {"repository": "x/z"}}}, "forget10", {}, "retain model: x/z"),
        (TOFU, {"retain": {}}, "forget10", {}, "retain model: not of the hub"),
        (TOFU, {}, "forget10", {"limits": {"retain": 40}}, "not all rows are evaluated"),
        (TOFU, {}, "forget10", {"max_new_tokens": 64}, "generations of at most 64 tokens, not 200"),
    ],
)
def test_what_differs_is_named(benchmark, change, split, evaluation, reason):
    verdict = comparability(benchmark, copy.deepcopy(CHECKPOINTS) | change, split, WHOLE | evaluation, PROMPT)
    assert verdict == f"not comparable: {reason}"


def test_how_it_is_asked_and_judged_counts():
    verdict = comparability(TOFU, CHECKPOINTS, "forget10", WHOLE | {"min_k": 0.2}, PROMPT | {"system": None})
    assert verdict == "not comparable: Min-K with k = 0.2; prompt: system"


@pytest.fixture
def tokens() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    informative = rng.random(200) < 0.3
    return pd.DataFrame(
        {
            "sample": np.repeat([f"s{i}" for i in range(10)], 20),
            "eos": False,
            "logprob": -rng.gamma(1, 1, 200),
            "informative_gold": pd.array(informative, dtype="boolean"),
            "weight_etw": rng.gamma(1 + 3 * informative),
            "weight_Imp": rng.gamma(1 + 1 * informative),
            "weight_WGA": rng.gamma(2 - informative),
        }
    )


def test_margin_is_over_the_second_of_the_papers_methods(tokens):
    found = our_auc(tokens, ["gold"], {"ETW": "etw", "Imp": "Imp", "WGA": "WGA", "GA": "GradDiff"})
    positive = tokens["informative_gold"].to_numpy(bool)
    auc = {name: roc_auc_score(positive, tokens[f"weight_{name}"]) for name in ("etw", "Imp", "WGA")}
    assert auc["WGA"] < auc["Imp"] < auc["etw"]
    assert found["mean"].tolist() == pytest.approx([auc["Imp"], auc["etw"] - auc["Imp"]])
    assert found["our_method"].tolist() == ["Imp", "etw − Imp"]


@pytest.mark.parametrize("names", [{}, {"ETW": "etw"}, {"WGA": "WGA"}])
def test_without_the_methods_there_is_no_auc(tokens, names):
    found = our_auc(tokens, ["gold"], names)
    assert found["mean"].isna().all()
    assert found["our_method"].isna().all()


def test_ours_beside_theirs(tokens):
    rows = [
        ("m", "forget10", "full", pd.NA, 9.0, 0.0, np.nan, 100.0),
        ("m", "forget10", "GradDiff", 0, 2.0, 4.0, 8.0, 40.0),
        ("m", "forget10", "GradDiff", 1, 4.0, 6.0, np.nan, 50.0),
        ("m", "forget10", "etw", 0, 0.5, -1.0, np.nan, 9.0),
    ]
    runs = pd.DataFrame(rows, columns=["model", "split", "method", "seed", *METRICS]).astype({"seed": "Int64"})
    names = our_names(METHODS)
    auc = our_auc(tokens, ["gold"], names).assign(model="m", split="forget10")
    table = reported_table(runs, auc, names)
    assert len(table) == len(REPORTED)
    by = table.set_index(["paper_method", "quantity"])
    assert by.loc[("GA", "neg_log10_fq"), ["our_method", "reported", "mean", "n"]].tolist() == [
        "GradDiff",
        2.639,
        3.0,
        2,
    ]
    shown = readable(table).set_index(["paper_method", "quantity"])
    assert shown.loc[("GA", "aggregate"), "ours"] == "8.000; undefined (1 of 2)"
    assert shown.loc[("ETW", "aggregate"), "ours"] == "undefined (1 of 1)"
    assert shown.loc[("ETW", "delta_mu"), "ours"] == "−1.00"
    assert shown.loc[("SatImp", "neg_log10_fq"), "ours"] == "–"
    assert shown.loc[("ETW", MARGIN), "reported_text"] == "≥ 0.06"
    verdicts = with_verdicts(table, TOFU, {"m": CHECKPOINTS}, WHOLE, PROMPT)
    assert set(verdicts["comparable"]) == {"yes"}
    assert set(layout(names, "structural").columns) <= set(readable(verdicts))


def test_each_place_has_its_own_verdict():
    table = pd.DataFrame({"model": ["a", "b", "a"], "split": ["forget10", "forget10", "forget05"]})
    found = with_verdicts(table, TOFU, {"a": CHECKPOINTS, "b": {"source": "gguf"}}, WHOLE, PROMPT)[
        "comparable"
    ].tolist()
    assert found == [
        "yes",
        "not comparable: starting model: made here from source gguf",
        "not comparable: split: forget05",
    ]


def test_the_shipped_set_up_of_the_paper_is_comparable():
    study = load_file(Path(__file__).resolve().parents[2] / "config" / "etw-tofu-llama32.yaml")
    raw = study.model_dump(mode="json")
    settings = raw["measure"] | raw["evaluate"]
    verdicts = {
        (model, split): comparability(raw["benchmark"], raw["models"][model], split, settings, raw["prompt"])
        for model in study.models
        for split in study.splits
    }
    assert [place for place, verdict in verdicts.items() if verdict == "yes"] == [("llama-3.2-1b", "forget10")]
    assert study.splits == ["forget01", "forget05", "forget10"]
    assert (study.unlearn.epochs, study.unlearn.batch_size, study.unlearn.learning_rate) == (10, 32, 1e-5)
    assert len(study.seeds) == 3
    grids = {name: method.sweep.get("strength") for name, method in study.methods.items()}
    assert {name for name, grid in grids.items() if grid is None} == {"GA", "UNDIAL", "RMU"}
    assert all((min(grid), max(grid)) == (0.01, 2.0) for grid in grids.values() if grid)
