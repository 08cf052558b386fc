"""Functional forms: rescaling is ETW's own, statistics meet the methods that use the form, gaps stay."""

import numpy as np
import pandas as pd
import pytest
import torch

from lethe.form_table import METRICS, form_of, form_statistics, form_table, layout, readable, rescale
from lethe.forms import TopKEntropy, Variance
from lethe.method import TokenBatch
from lethe.weightings.entropy import Entropy
from lethe.weightings.mutual_information import MutualInformation
from lethe.weightings.raw_entropy import RawEntropy
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


def statistics(tokens: pd.DataFrame) -> pd.DataFrame:
    return form_statistics(tokens, ["gold"], [1.0, 2.0], ["variance_T1.0"], 20).assign(model="m", split="forget10")


@pytest.mark.parametrize(
    ("weighting", "form"),
    [
        (Entropy(temperature=2), ("entropy_T2.0", "rescaled")),
        (RawEntropy(temperature=3), ("entropy_T3.0", "raw")),
        (RawEntropy(unit=11.76), ("normalised_entropy_T1.0", "raw")),
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
    got = rescale(tokens, "entropy_T2.0")
    assert got.to_numpy() == pytest.approx(expected, rel=1e-12)
    assert got.groupby(tokens["sample"]).sum().to_numpy() == pytest.approx(12.0)
    assert (got[tokens["sample"] == "s3"] == 1).all()


def test_rescaled_mutual_information_is_the_weightings_column(tokens):
    table = tokens.assign(mutual_information=np.random.default_rng(1).normal(0.02, 0.02, len(tokens)))
    assert (table["mutual_information"] < 0).any()  # rounding
    expected = MutualInformation().column(table, 0)
    assert rescale(table, "mutual_information").to_numpy() == pytest.approx(expected, rel=1e-12)


def test_rescaling_keeps_gaps(tokens):
    tokens.loc[5, "variance_T1.0"] = np.nan
    assert rescale(tokens, "variance_T1.0").isna().tolist() == [i == 5 for i in range(len(tokens))]


def test_each_form_is_raw_and_rescaled_and_the_normalised_entropy_raw(tokens):
    result = form_statistics(tokens, ["gold"], [1.0, 2.0], ["variance_T1.0"], 20)
    found = set(zip(result["form"], result["scaling"], strict=True))
    both = {(form, s) for form in ("entropy_T1.0", "entropy_T2.0", "variance_T1.0") for s in ("raw", "rescaled")}
    assert found == both | {("normalised_entropy_T1.0", "raw"), ("normalised_entropy_T2.0", "raw")}
    assert len(result) == len(found)
    by = result.set_index(["form", "scaling"])
    assert by.loc[("entropy_T1.0", "raw"), "auc"] != by.loc[("entropy_T1.0", "rescaled"), "auc"]
    for statistic in ("auc", "pearson", "pearson_low"):
        assert by.loc[("normalised_entropy_T1.0", "raw"), statistic] == by.loc[("entropy_T1.0", "raw"), statistic]


def test_a_stored_normalised_entropy_is_used_and_not_doubled(tokens):
    table = tokens.assign(**{"normalised_entropy_T1.0": tokens["entropy_T1.0"] / 11.76})
    result = form_statistics(table, ["gold"], [1.0], ["normalised_entropy_T1.0"], 0).set_index(["form", "scaling"])
    assert result.index.is_unique
    values = result["pearson"]
    assert values["normalised_entropy_T1.0", "raw"] == pytest.approx(values["entropy_T1.0", "raw"], abs=1e-12)
    assert values["normalised_entropy_T1.0", "rescaled"] == pytest.approx(values["entropy_T1.0", "rescaled"], abs=1e-12)


def test_mutual_information_is_taken_where_it_is_stored(tokens):
    result = form_statistics(tokens.assign(mutual_information=0.1), ["gold"], [1.0], [], 0)
    row = result[(result["form"] == "mutual_information") & (result["scaling"] == "raw")].iloc[0]
    assert row["reason"] == "the score is constant"
    assert np.isnan(row["pearson"])


def test_results_stand_beside_the_form_they_come_from(tokens, runs):
    forms = {("m", "forget10"): {"ETW": ("entropy_T2.0", "rescaled"), "Raw": ("entropy_T1.0", "raw")}}
    table = form_table(statistics(tokens), runs, forms)
    used = table[table["method"].notna()].set_index("method")
    assert list(used.index) == ["Raw", "ETW"]
    assert used.loc["ETW", ["form", "scaling"]].tolist() == ["entropy_T2.0", "rescaled"]
    assert (used.loc["ETW", "neg_log10_fq_mean"], used.loc["ETW", "neg_log10_fq_sd"]) == (2.0, pytest.approx(2**0.5))
    assert (used.loc["ETW", "delta_mu_n"], used.loc["ETW", "runs"]) == (1, 2)
    assert len(table) == len(statistics(tokens))
    assert set(layout(20).columns) <= set(readable(table))
    texts = readable(table).set_index("method")["delta_mu"]
    assert texts["ETW"] == "2.00; undefined (1 of 2)"
    assert table["method"].isna().sum() == len(table) - 2


def test_methods_that_share_a_form_have_a_row_each_and_none_is_fine(tokens, runs):
    same = ("entropy_T2.0", "rescaled")
    table = form_table(statistics(tokens), runs, {("m", "forget10"): {"ETW": same, "Raw": same}})
    assert table.loc[table["form"].eq("entropy_T2.0") & table["scaling"].eq("rescaled"), "method"].tolist() == [
        "ETW",
        "Raw",
    ]
    nothing = form_table(statistics(tokens), runs, {("m", "forget10"): {}})
    assert nothing["method"].isna().all()
    assert readable(nothing)["delta_mu"].isna().all()
