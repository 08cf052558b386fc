"""Functional forms: rescaling is ETW's own, statistics meet the methods that use the form, gaps stay."""

import numpy as np
import pandas as pd
import pytest
import torch

from lethe.analysis.auc import definition
from lethe.config import MethodConfig
from lethe.methods.contract import TokenBatch
from lethe.methods.forms import NormalisedEntropy, TopKEntropy, Variance
from lethe.tables import etw_tab_forms as module
from lethe.tables.correlation import correlation_table
from lethe.tables.etw_tab_forms import METRICS, form_of, form_statistics, form_table, layout, readable, with_rescaled
from lethe.tokens.table import considered
from lethe.weightings.entropy import Entropy
from lethe.weightings.mutual_information import MutualInformation
from lethe.weightings.raw_entropy import RawEntropy
from lethe.weightings.raw_spread import RawSpread
from lethe.weightings.spread import Spread
from lethe.weightings.uniform import Uniform


@pytest.fixture
def tokens() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    sample = np.repeat([f"s{i}" for i in range(8)], 12)
    informative = rng.random(len(sample)) < 0.3
    return pd.DataFrame(
        {
            "sample": sample,
            "eos": np.arange(len(sample)) % 12 == 11,
            "logprob": -rng.gamma(1.0, 1.0, len(sample)),
            "entropy_T1.0": rng.gamma(1 + informative, 0.5) * np.repeat(rng.gamma(2, 1, 8), 12),
            "entropy_T2.0": rng.gamma(1 + informative, 1.5),
            "variance_T1.0": rng.random(len(sample)),
            "informative_gold": pd.array(informative, dtype="boolean"),
        }
    )


@pytest.fixture
def runs() -> pd.DataFrame:
    rows = [
        ("m", "forget10", "full", pd.NA, 9.0, 0.0, 0.9, 0.6),
        ("m", "forget10", "ETW", 0, 1.0, 2.0, 0.1, 0.5),
        ("m", "forget10", "ETW", 1, 3.0, np.nan, 0.3, 0.4),
        ("m", "forget10", "Raw", 0, 5.0, 1.0, 0.2, 0.3),
        ("m", "forget10", "GA", 0, 7.0, 1.0, 0.2, 0.3),
    ]
    return pd.DataFrame(rows, columns=["model", "split", "method", "seed", *METRICS]).astype({"seed": "Int64"})


def found(tokens: pd.DataFrame, temperatures=(1.0, 2.0), forms=("variance_T1.0",), bootstrap=20, **others):
    table = with_rescaled(tokens, temperatures, forms)
    return form_statistics(table, ["gold"], temperatures, forms, bootstrap, **others)


def statistics(tokens: pd.DataFrame) -> pd.DataFrame:
    return found(tokens).assign(model="m", split="forget10")


def method(weighting) -> MethodConfig:
    return MethodConfig(weighting=weighting, objective="ascent", retain="nll")


@pytest.mark.parametrize(
    ("weighting", "form"),
    [
        (Entropy(temperature=2), ("entropy_T2.0", "rescaled")),
        (RawEntropy(temperature=3), ("entropy_T3.0", "raw")),
        (RawSpread(form=NormalisedEntropy()), ("normalised_entropy_T1.0", "raw")),
        (RawSpread(form=TopKEntropy(k=5, temperature=2)), ("top_k_entropy_k5_T2.0", "raw")),
        (Spread(form=TopKEntropy(k=5)), ("top_k_entropy_k5_T1.0", "rescaled")),
        (Spread(form=Variance(temperature=2)), ("variance_T2.0", "rescaled")),
        (MutualInformation(), ("mutual_information", "rescaled")),
        (Uniform(), None),
    ],
)
def test_the_form_of_a_weighting(weighting, form):
    assert form_of(weighting) == form


def test_rescaled_entropy_is_etws_weight(tokens):
    tokens.loc[tokens["sample"] == "s3", "entropy_T2.0"] = 0.0  # the fallback to 1
    sequence = torch.tensor(pd.factorize(tokens["sample"])[0])
    entropy = torch.tensor(tokens["entropy_T2.0"].to_numpy())
    batch = TokenBatch(sequence, 8, torch.tensor(tokens["logprob"].to_numpy()), entropy={2.0: entropy})
    expected = Entropy(temperature=2.0).weights(batch).numpy()
    got = with_rescaled(tokens, [2.0], [])["entropy_T2.0 rescaled"]
    assert got.to_numpy() == pytest.approx(expected, rel=1e-12)
    assert got.groupby(tokens["sample"]).sum().to_numpy() == pytest.approx(12.0)
    assert (got[tokens["sample"] == "s3"] == 1).all()


def test_rescaled_mutual_information_is_the_weightings_column(tokens):
    table = tokens.assign(mutual_information=np.random.default_rng(1).normal(0.02, 0.02, len(tokens)))
    assert (table["mutual_information"] < 0).any()  # rounding
    expected = MutualInformation().column(table, 0)
    got = with_rescaled(table, [], [])["mutual_information rescaled"]
    assert got.to_numpy() == pytest.approx(expected, rel=1e-12)


def test_rescaling_keeps_gaps(tokens):
    tokens.loc[5, "variance_T1.0"] = np.nan
    got = with_rescaled(tokens, [], ["variance_T1.0"])["variance_T1.0 rescaled"]
    assert got.isna().tolist() == [i == 5 for i in range(len(tokens))]


def test_end_tokens_that_are_not_looked_at_still_share_in_the_sum(tokens):
    table = considered(with_rescaled(tokens, [1.0], []), "drop")
    assert len(table) == len(tokens) - 8
    assert (table.groupby("sample")["entropy_T1.0 rescaled"].sum() < 12).all()
    result = form_statistics(table, ["gold"], [1.0], [], 0)
    assert set(result["tokens"]) == {len(table)}


def test_statistics_draw_what_they_are_told_to(tokens):
    tokens["group"] = tokens["sample"].map(lambda name: int(name[1:]) // 2)
    ours = found(tokens, [1.0], [], 30, cluster="group").iloc[0]
    theirs = correlation_table(tokens, ["gold"], ["entropy_T1.0"], 30, cluster="group").iloc[0]
    assert (
        ours[["auc_low", "pearson_high", "clusters"]].tolist()
        == theirs[["auc_low", "pearson_high", "clusters"]].tolist()
    )
    assert ours["clusters"] == 4


def test_each_form_is_raw_and_rescaled_and_the_normalised_entropy_raw(tokens):
    result = found(tokens)
    names = set(zip(result["form"], result["scaling"], strict=True))
    both = {(form, s) for form in ("entropy_T1.0", "entropy_T2.0", "variance_T1.0") for s in ("raw", "rescaled")}
    assert names == both | {("normalised_entropy_T1.0", "raw"), ("normalised_entropy_T2.0", "raw")}
    assert len(result) == len(names)
    by = result.set_index(["form", "scaling"])
    assert by.loc[("entropy_T1.0", "raw"), "auc"] != by.loc[("entropy_T1.0", "rescaled"), "auc"]
    for statistic in ("auc", "pearson", "pearson_low"):
        assert by.loc[("normalised_entropy_T1.0", "raw"), statistic] == by.loc[("entropy_T1.0", "raw"), statistic]


def test_the_normalised_entropy_is_copied_and_not_bootstrapped_again(tokens, monkeypatch):
    asked = []

    def listening(table, labels, scores, *others):
        asked.extend(scores)
        return correlation_table(table, labels, scores, *others)

    monkeypatch.setattr(module, "correlation_table", listening)
    table = with_rescaled(tokens.assign(informative_other=~tokens["informative_gold"]), [1.0], [])
    result = form_statistics(table, ["other", "gold"], [1.0], [], 20)
    assert asked == ["entropy_T1.0", "entropy_T1.0 rescaled"]
    assert result["label"].tolist() == ["other"] * 3 + ["gold"] * 3  # blocks of label sources stay together
    assert result["form"].tolist()[2::3] == [NormalisedEntropy(temperature=1.0).column] * 2


def test_a_stored_normalised_entropy_is_used_and_not_doubled(tokens):
    table = tokens.assign(**{"normalised_entropy_T1.0": tokens["entropy_T1.0"] / 11.76})
    result = found(table, [1.0], ["normalised_entropy_T1.0"], 0).set_index(["form", "scaling"])
    assert result.index.is_unique
    values = result["pearson"]
    assert values["normalised_entropy_T1.0", "raw"] == pytest.approx(values["entropy_T1.0", "raw"], abs=1e-12)
    assert values["normalised_entropy_T1.0", "rescaled"] == pytest.approx(values["entropy_T1.0", "rescaled"], abs=1e-12)


def test_mutual_information_is_taken_where_it_is_stored(tokens):
    result = found(tokens.assign(mutual_information=0.1), [1.0], [], 0)
    row = result[(result["form"] == "mutual_information") & (result["scaling"] == "raw")].iloc[0]
    assert row["reason"] == "the score is constant"
    assert np.isnan(row["pearson"])


def test_results_stand_beside_the_form_they_come_from(tokens, runs):
    there = {"ETW": method({"entropy": {"temperature": 2.0}}), "Raw": method("raw_entropy"), "GA": method("uniform")}
    table = form_table(statistics(tokens), runs, {("m", "forget10"): there}, {"ETW": 4, "Raw": 1, "GA": 1})
    used = table[table["method"].notna()].set_index("method")
    assert list(used.index) == ["Raw", "ETW"]
    assert used.loc["ETW", ["form", "scaling"]].tolist() == ["entropy_T2.0", "rescaled"]
    assert (used.loc["ETW", "neg_log10_fq_mean"], used.loc["ETW", "neg_log10_fq_sd"]) == (2.0, pytest.approx(2**0.5))
    assert (used.loc["ETW", "delta_mu_n"], used.loc["ETW", "runs"]) == (1, 2)
    assert len(table) == len(statistics(tokens))
    assert used["tried"].to_dict() == {"ETW": 4, "Raw": 1}
    assert table["tried"].isna().sum() == len(table) - 2
    shown = readable(table)
    assert set(layout(20, "sample", "structural", None).columns) <= set(shown)
    assert shown.set_index("method").loc["ETW", "delta_mu_text"] == "2.00; undefined (1 of 2)"
    assert set(shown) - set(table) == {f"{name}_text" for name in METRICS}  # numbers stay numbers
    assert table["method"].isna().sum() == len(table) - 2


def test_methods_that_share_a_form_have_a_row_each_and_none_is_fine(tokens, runs):
    same = method({"entropy": {"temperature": 2.0}})
    table = form_table(statistics(tokens), runs, {("m", "forget10"): {"ETW": same, "Raw": same}}, {"ETW": 1, "Raw": 1})
    assert table.loc[table["form"].eq("entropy_T2.0") & table["scaling"].eq("rescaled"), "method"].tolist() == [
        "ETW",
        "Raw",
    ]
    nothing = form_table(statistics(tokens), runs, {("m", "forget10"): {}}, {})
    assert nothing["method"].isna().all()
    assert readable(nothing)["delta_mu_text"].isna().all()


def test_the_notes_say_what_is_drawn_what_is_meant_and_how_it_was_found():
    notes = layout(20, "group", "drop", 8, ("Tuned: ETW.",)).notes
    assert "20 bootstrap resamples of whole authors" in notes[0]
    assert definition("drop") in notes
    (mutual,) = [note for note in notes if note.startswith("mutual_information")]
    for what in (
        "K = 8 passes",
        "starting model",
        "T = 1",
        "noise on the input embeddings",
        "no dropout",
        "fine-tuning",
    ):
        assert what in mutual
    assert notes[-1] == "Tuned: ETW."
    assert "mutual_information" not in " ".join(layout(20, "sample", "drop", None).notes)
