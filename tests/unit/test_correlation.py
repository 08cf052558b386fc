"""Correlations of scores and labels against scipy, and their bootstrap against samples written out."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, pointbiserialr, rankdata, spearmanr

from lethe.analysis.auc import auc_table, definition
from lethe.tables import correlation
from lethe.tables.correlation import correlation_table, layout, resampled_pearson, score_names, with_masks


def tokens(samples: int = 30, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 40, samples)
    sample = np.repeat([f"full-{i:04d}" for i in range(samples)], lengths)
    eos = np.concatenate([np.arange(n) == n - 1 for n in lengths])
    informative = (rng.random(len(sample)) < 0.3) & ~eos
    logprob = -rng.gamma(1 + informative, 0.8)
    return pd.DataFrame(
        {
            "sample": sample,
            "eos": eos,
            "logprob": logprob,
            "entropy_T1.0": rng.gamma(1 + 2 * informative, 0.5),
            "informative_gold": pd.array(informative, dtype="boolean"),
            "weight_GA": 1.0,
            "weight_WGA": np.exp(logprob),
        }
    )


def test_statistics_equal_scipy():
    table = tokens()
    positive = table["informative_gold"].to_numpy(bool)
    result = correlation_table(table, ["gold"], ["entropy_T1.0", "-logprob"], bootstrap=50).set_index("score")
    for score, values in (("entropy_T1.0", table["entropy_T1.0"]), ("-logprob", -table["logprob"])):
        row = result.loc[score]
        assert row["pearson"] == pytest.approx(pointbiserialr(positive, values).statistic, abs=1e-12)
        assert row["spearman"] == pytest.approx(spearmanr(positive, values).statistic, abs=1e-12)
        assert row["rank_biserial"] == pytest.approx(2 * row["auc"] - 1, abs=1e-15)
        assert row["rank_biserial_low"] == pytest.approx(2 * row["auc_low"] - 1, abs=1e-15)
        for name in ("auc", "pearson", "spearman", "rank_biserial"):
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    assert result["reason"].isna().all()


def test_auc_is_that_of_the_roc_table():
    table = tokens()
    ours = correlation_table(table, ["gold"], ["entropy_T1.0", "weight_WGA"], bootstrap=100, seed=3)
    theirs = auc_table(table, ["gold"], ["entropy_T1.0", "weight_WGA"], bootstrap=100, seed=3)
    assert ours[["auc", "auc_low", "auc_high"]].to_numpy() == pytest.approx(theirs[["auc", "low", "high"]].to_numpy())


def test_groups_are_drawn_whole_for_every_statistic():
    table = tokens().assign(group=lambda t: t["sample"].str[-1])
    row = correlation_table(table, ["gold"], ["entropy_T1.0"], bootstrap=100, seed=5, cluster="group").iloc[0]
    auc = auc_table(table, ["gold"], ["entropy_T1.0"], bootstrap=100, seed=5, cluster="group").iloc[0]
    assert row[["auc_low", "auc_high", "clusters"]].tolist() == auc[["low", "high", "clusters"]].tolist()
    counts = np.random.default_rng(5).multinomial(10, np.full(10, 1 / 10), size=100)
    values, positive = table["entropy_T1.0"].to_numpy(), table["informative_gold"].to_numpy(bool)
    drawn = resampled_pearson(values, positive, pd.factorize(table["group"])[0], counts)
    assert [row["pearson_low"], row["pearson_high"]] == pytest.approx(np.percentile(drawn, [2.5, 97.5]))
    assert (row["samples"], row["clusters"]) == (30, 10)


def test_a_score_is_ranked_once_for_all_label_sources(ranked_once):
    table = tokens().assign(informative_other=lambda t: ~t["informative_gold"])
    assert ranked_once(
        correlation, lambda: correlation_table(table, ["gold", "other"], ["weight_WGA", "entropy_T1.0"], bootstrap=0)
    ) == ["weight_WGA", "entropy_T1.0"]


def test_every_definition_of_scn_is_a_score_where_the_answers_are_parsed():
    parsed = tokens().assign(pos="VERB", noun_chunk=False)
    parsed.loc[parsed["informative_gold"], "pos"] = "NOUN"
    parsed.loc[parsed.index[:3], ["pos", "noun_chunk"]] = ["NUM", True]
    table = with_masks(parsed)
    names = ["SCN (nouns)", "SCN (noun_chunks)", "SCN (content)"]
    assert score_names(table, ["GA"], [], []) == ["weight_GA", "-logprob", *names]
    assert table[names].sum().tolist() == [(parsed["pos"] == "NOUN").sum(), 3, len(parsed)]
    result = correlation_table(table, ["gold"], names, bootstrap=10).set_index("score")
    mask = parsed["pos"].isin(["NOUN", "PROPN"])
    expected = pointbiserialr(parsed["informative_gold"].to_numpy(bool), mask).statistic
    assert result.loc["SCN (nouns)", "pearson"] == pytest.approx(expected)
    assert result.loc["SCN (content)", "reason"] == "the score is constant"
    assert not set(names) & set(with_masks(tokens()))
    assert "noun chunks" in " ".join(layout("forget10", 10, "sample", "structural").notes)


def test_every_resample_equals_pearson_of_the_answers_written_out():
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(6), rng.integers(2, 9, 6))
    x, y = rng.normal(1e6, 1.0, len(cluster)), rng.random(len(cluster)) < 0.4  # a large mean must cost no digits
    counts = rng.multinomial(6, np.full(6, 1 / 6), size=25)
    got = resampled_pearson(x, y, cluster, counts)
    for b, count in enumerate(counts):
        rows = np.concatenate([np.tile(np.flatnonzero(cluster == s), c) for s, c in enumerate(count)])
        expected = pearsonr(x[rows], y[rows]).statistic
        assert got[b] == pytest.approx(expected, abs=1e-9)


def test_spearman_resamples_are_pearson_of_the_full_samples_ranks():
    table = tokens(8)
    result = correlation_table(table, ["gold"], ["entropy_T1.0"], bootstrap=200, seed=5).iloc[0]
    cluster = pd.factorize(table["sample"])[0]
    counts = np.random.default_rng(5).multinomial(8, np.full(8, 1 / 8), size=200)
    drawn = resampled_pearson(
        rankdata(table["entropy_T1.0"]), table["informative_gold"].to_numpy(bool), cluster, counts
    )
    assert [result["spearman_low"], result["spearman_high"]] == pytest.approx(np.percentile(drawn, [2.5, 97.5]))


def test_a_resample_without_variation_is_nan_and_counted():
    got = resampled_pearson(
        np.array([1.0, 2.0, 3.0, 5.0]), np.array([0, 0, 1, 0]), np.array([0, 0, 1, 1]), np.array([[2, 0], [1, 1]])
    )
    assert np.isnan(got[0])
    assert got[1] == pytest.approx(pearsonr([1, 2, 3, 5], [0, 0, 1, 0]).statistic)
    table = pd.DataFrame(
        {
            "sample": ["a", "a", "b", "b"],
            "eos": False,
            "logprob": -1.0,
            "entropy_T1.0": [1.0, 2.0, 3.0, 5.0],
            "informative_gold": pd.array([False, False, True, False], dtype="boolean"),
        }
    )
    row = correlation_table(table, ["gold"], ["entropy_T1.0"], bootstrap=400).iloc[0]
    assert 60 < row["resamples_undefined"] < 140  # a quarter draws sample a twice


def test_constant_scores_and_single_classes_are_undefined_with_a_reason():
    table = tokens().assign(informative_none=pd.array([False] * len(tokens()), dtype="boolean"))
    result = correlation_table(table, ["gold", "none"], ["weight_GA", "entropy_T1.0"], bootstrap=20)
    constant = result.iloc[0]
    assert (constant["auc"], constant["reason"]) == (0.5, "the score is constant")
    assert np.isnan(constant["pearson"])
    single = result[result["label"] == "none"]
    assert single["reason"].str.startswith("single class").all()
    assert single[["auc", "pearson", "spearman", "rank_biserial"]].isna().all(axis=None)


def test_one_sample_has_no_interval_and_eos_is_structural():
    table = tokens(1).assign(informative_gold=pd.array([True] * len(tokens(1)), dtype="boolean"))
    row = correlation_table(table, ["gold"], ["entropy_T1.0"], bootstrap=20).iloc[0]
    assert row["positives"] == len(table) - 1
    assert np.isfinite(row["pearson"])
    assert row[["pearson_low", "auc_low", "spearman_high"]].isna().all()


def test_scores_are_weights_probability_entropies_forms_and_what_is_stored():
    table = tokens()
    expected = ["weight_GA", "-logprob", "entropy_T2.0", "variance_T1.0"]
    assert score_names(table, ["GA"], [2.0], ["variance_T1.0"]) == expected
    assert score_names(table.assign(mutual_information=0.0), ["GA"], [2.0], ["variance_T1.0"]) == [
        *expected,
        "mutual_information",
    ]


def test_the_layout_fits_the_table():
    table = correlation_table(tokens(), ["gold"], ["-logprob"], 10).assign(model="m")
    made = layout("forget10", 10, "sample", "structural")
    assert set(made.columns) <= set(table)
    assert "10 bootstrap resamples of whole answers" in made.notes[0]
    assert definition("structural") in made.notes
    of_authors = layout("forget10", 10, "group", "drop")
    assert set(of_authors.columns) - set(made.columns) == {"clusters"}
    assert set(of_authors.columns) <= set(table)
    assert "resamples of whole authors" in of_authors.notes[0]
    assert definition("drop") in of_authors.notes
