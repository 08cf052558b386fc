"""Paired tests against scipy and worked examples; what cannot be tested says why."""

import numpy as np
import pandas as pd
import pytest
from pandas.core.groupby import DataFrameGroupBy
from scipy import stats

from lethe.benchmarks.tofu import Tofu
from lethe.errors import InputError
from lethe.tables.significance import (
    LEAST_CLUSTERS,
    LEVEL,
    clustered_interval,
    headed,
    holm,
    matched_rank_biserial,
    sample_layout,
    sample_table,
    sample_values,
    seed_layout,
    seed_table,
)

TOFU = Tofu()
RUN_METRICS, SAMPLE_METRICS = TOFU.by_seed, TOFU.by_sample


def runs(values: dict[str, list[float]], **others) -> pd.DataFrame:
    """Every metric of every method takes the values given, by seed."""
    rows = [("m", "forget10", who, pd.NA, 0.0) for who in ("full", "retain")]
    rows += [("m", "forget10", who, seed, v) for who, series in values.items() for seed, v in enumerate(series)]
    table = pd.DataFrame(rows, columns=["model", "split", "method", "seed", "value"]).astype({"seed": "Int64"})
    return table.assign(**dict.fromkeys(RUN_METRICS, table["value"]), **others)


def test_holm_on_a_worked_example():
    # p = .01, .04, .03, .005: sorted ×4, ×3, ×2, ×1 = .02, .03, .06, .04, then never falling
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.02]) == pytest.approx([0.02])
    assert len(holm([])) == 0


def test_holm_leaves_undefined_tests_out_of_the_family():
    got = holm([0.02, np.nan, 0.04])
    assert got[[0, 2]] == pytest.approx([0.04, 0.04])
    assert np.isnan(got[1])


def test_rank_biserial_by_hand():
    # |d| = 3, 1, 2: ranks 3, 1, 2; W₊ = 5, W₋ = 1; the zero is left out
    assert matched_rank_biserial(np.array([3.0, -1.0, 2.0, 0.0])) == pytest.approx(4 / 6)
    assert np.isnan(matched_rank_biserial(np.zeros(3)))


def test_seed_tests_equal_scipy():
    etw, ga = [1.0, 1.4, 0.9, 1.1, 1.3, 1.2], [2.0, 2.1, 2.3, 1.9, 2.6, 2.2]
    table = seed_table(runs({"GA": ga, "ETW": etw}), "ETW", TOFU)
    assert list(table["metric"]) == list(RUN_METRICS)
    row = table.iloc[0]
    difference = np.subtract(etw, ga)
    assert row["mean_difference"] == pytest.approx(difference.mean())
    assert row["sd_difference"] == pytest.approx(difference.std(ddof=1))
    assert row["t_p"] == pytest.approx(stats.ttest_rel(etw, ga).pvalue)
    assert row["wilcoxon_p"] == pytest.approx(stats.wilcoxon(etw, ga).pvalue) == pytest.approx(2 / 2**6)
    assert row["d_z"] == pytest.approx(difference.mean() / difference.std(ddof=1))
    assert (row["rank_biserial"], row["pairs"], row["seeds"], row["holds"]) == (-1.0, 6, 6, "lower")
    assert pd.isna(row["reason"])


def test_the_family_is_all_methods_of_a_metric():
    table = seed_table(
        runs({"ETW": [1.0, 1.1, 1.3], "A": [2.0, 2.2, 2.2], "B": [0.9, 1.3, 1.2], "C": [0.1, 0.3, 0.2]}), "ETW", TOFU
    )
    family = table[table["metric"] == "delta_mu"]
    assert list(family["other"]) == ["A", "B", "C"]
    assert family["t_holm"].to_numpy() == pytest.approx(holm(family["t_p"]))
    assert (family["t_holm"] >= family["t_p"]).all()
    assert list(family["holds"]) == ["lower", "not shown", "higher"]


def test_signed_ranks_are_corrected_for_their_own_family():
    etw = [1.0, 1.1, 1.3, 1.2, 1.4, 1.0]
    others = {"A": [v + 1 + i / 10 for i, v in enumerate(etw)], "B": [v + (-1) ** i * i for i, v in enumerate(etw)]}
    family = seed_table(runs({"ETW": etw} | others), "ETW", TOFU).query("metric == 'delta_mu'")
    assert family["wilcoxon_holm"].tolist() == pytest.approx(holm(family["wilcoxon_p"]))
    assert family["wilcoxon_holm"].tolist() != pytest.approx(holm(family["t_p"]))
    assert family["wilcoxon_holm"].iloc[0] == pytest.approx(2 * family["wilcoxon_p"].iloc[0])


def test_too_few_or_undefined_pairs_say_so():
    one = seed_table(runs({"ETW": [1.0], "GA": [2.0]}), "ETW", TOFU).iloc[0]
    assert one["mean_difference"] == -1.0
    assert np.isnan(one["t_p"])
    assert np.isnan(one["wilcoxon_p"])
    assert (one["holds"], one["reason"]) == ("not shown", "fewer than 2 common seeds with a value")
    gaps = seed_table(runs({"ETW": [1.0, np.nan, 2.0, 2.5], "GA": [2.0, 3.0, np.inf, 3.0]}), "ETW", TOFU).iloc[0]
    assert (gaps["seeds"], gaps["pairs"], gaps["reason"]) == (4, 2, "2 of 4 pairs undefined")
    uneven = seed_table(runs({"ETW": [1.0, 2.0, 3.0], "GA": [2.0, 3.5]}), "ETW", TOFU).iloc[0]
    assert uneven["seeds"] == 2


def test_equal_differences_are_no_proof():
    same = seed_table(runs({"ETW": [1.1, 2.1, 3.1], "GA": [1.0, 2.0, 3.0]}), "ETW", TOFU).iloc[0]
    assert np.isnan(same["t_p"])
    assert "do not vary" in same["reason"]
    assert same["holds"] == "not shown"
    none = seed_table(runs({"ETW": [1.0, 2.0], "GA": [1.0, 2.0]}), "ETW", TOFU).iloc[0]
    assert "all differences are 0" in none["reason"]
    assert np.isnan(none["wilcoxon_p"])


def test_a_method_alone_has_no_rows_and_an_unknown_one_is_named():
    assert len(seed_table(runs({"ETW": [1.0, 2.0]}), "ETW", TOFU)) == 0
    with pytest.raises(InputError, match="NPO"):
        seed_table(runs({"ETW": [1.0, 2.0]}), "NPO", TOFU)


def samples(n: int = 40, shift: float = 0.2) -> tuple[pd.DataFrame, dict[str, str]]:
    rng = np.random.default_rng(0)
    names = [f"s{i}" for i in range(n)]
    base, rows = rng.uniform(0.3, 0.6, n), []
    for run, add in {
        "full": 0.3,
        "retain": 0,
        "ETW/seed0": 0,
        "ETW/seed1": 0,
        "GA/seed0": shift,
        "GA/seed1": shift,
    }.items():
        for i, name in enumerate(names):
            noise = rng.normal(0, 0.01)
            rows.append(("forget", name, run, base[i] + add + noise, 1 + add + noise, 0.5 + noise))
    rows += [("retain", "r0", "ETW/seed0", 0.0, 1.0, 0.0)]
    table = pd.DataFrame(rows, columns=["set", "sample", "run", "prob", "truth_ratio", "rouge_l_recall"])
    return table, {name: f"author{i // 5}" for i, name in enumerate(names)}


def test_sample_values_are_means_over_seeds_and_distances_are_taken_before():
    table, _ = samples(3)
    values = sample_values(table, TOFU)
    assert list(values.index) == ["s0", "s1", "s2"]  # the retain set is left out
    by = table.set_index(["sample", "run"])
    expected = (by.loc[("s1", "GA/seed0"), "prob"] + by.loc[("s1", "GA/seed1"), "prob"]) / 2
    assert values.loc["s1", ("prob", "GA")] == pytest.approx(expected)
    ratios = [by.loc[("s1", run), "truth_ratio"] for run in ("ETW/seed0", "ETW/seed1", "retain")]
    distance = (abs(np.log(ratios[0] / ratios[2])) + abs(np.log(ratios[1] / ratios[2]))) / 2
    assert values.loc["s1", ("truth_ratio_distance", "ETW")] == pytest.approx(distance)
    assert set(values.columns.get_level_values(1)) == {"ETW", "GA"}


def test_sample_tests_see_a_shift_and_no_shift():
    table, groups = samples()
    result = sample_table(table, groups, "ETW", TOFU, bootstrap=200).set_index("metric")
    assert list(result.index) == list(SAMPLE_METRICS)
    prob = result.loc["prob"]
    assert prob["mean_difference"] == pytest.approx(-0.2, abs=0.01)
    assert prob["low"] < prob["mean_difference"] < prob["high"] < 0
    assert (prob["samples"], prob["authors"], prob["undefined"], prob["holds"]) == (40, 8, 0, "lower")
    values = sample_values(table, TOFU)["prob"]
    assert prob["wilcoxon_p"] == pytest.approx(stats.wilcoxon(values["ETW"], values["GA"]).pvalue)
    assert result.loc["truth_ratio_distance", "holds"] == "lower"
    assert result.loc["rouge_l_recall", "holds"] == "not shown"


def test_sample_values_need_nothing_of_pandas_3(monkeypatch):
    mean = DataFrameGroupBy.mean

    def of_pandas_2(self, numeric_only=False, engine=None, engine_kwargs=None):
        return mean(self, numeric_only=numeric_only, engine=engine, engine_kwargs=engine_kwargs)

    monkeypatch.setattr(DataFrameGroupBy, "mean", of_pandas_2)
    table, _ = samples(3)
    table.loc[(table["sample"] == "s1") & (table["run"] == "GA/seed1"), "prob"] = np.nan
    prob = sample_values(table, TOFU)["prob"]
    assert prob.isna().sum().sum() == 1
    assert np.isnan(prob.loc["s1", "GA"])  # not the mean of the other seed


def test_samples_are_corrected_for_the_number_of_methods():
    """The shift to NPO is shown by itself, but not among five comparisons."""
    table, groups = samples(12)
    etw = table[table["run"].str.startswith("ETW/")]
    offsets = dict(zip(groups, [-0.01, -0.02, *([0.03] * 3), *([0.04] * 7)], strict=True))
    weak = etw.assign(run=etw["run"].str.replace("ETW", "NPO"), prob=etw["prob"] + etw["sample"].map(offsets))
    noise = np.random.default_rng(1).normal(0, 0.05, len(etw))
    rest = [etw.assign(run=etw["run"].str.replace("ETW", f"X{i}"), prob=etw["prob"] + noise * i) for i in (1, 2, 3)]
    alone = sample_table(pd.concat([table, weak]), groups, "ETW", TOFU, bootstrap=200)
    many = sample_table(pd.concat([table, weak, *rest]), groups, "ETW", TOFU, bootstrap=200)
    for result in (alone, many):
        family = result[result["metric"] == "prob"]
        assert family["holm"].tolist() == pytest.approx(holm(family["wilcoxon_p"]))
    raw = many[(many["metric"] == "prob") & (many["other"] == "NPO")].iloc[0]
    assert raw["holm"] > raw["wilcoxon_p"]


def test_an_undefined_sample_is_counted():
    table, groups = samples()
    table.loc[(table["sample"] == "s4") & (table["run"] == "GA/seed1"), ["prob", "truth_ratio"]] = np.nan
    table.loc[(table["sample"] == "s9") & (table["run"] == "ETW/seed0"), "truth_ratio"] = 0.0  # no logarithm
    result = sample_table(table, groups, "ETW", TOFU, bootstrap=50).set_index("metric")
    assert result["undefined"].tolist() == [1, 2, 0]
    assert result["samples"].tolist() == [39, 38, 40]


@pytest.mark.parametrize("authors", [1, 2, 5])
def test_few_authors_show_nothing_and_say_why(authors):
    """The difference is the same everywhere, and the samples alone would show it."""
    table, groups = samples(5 * authors, shift=0.5)
    rival = table[table["run"].str.startswith("GA/")]
    table = pd.concat([table, rival.assign(run=rival["run"].str.replace("GA", "NPO"), prob=rival["prob"] + 0.1)])
    for row in sample_table(table, groups, "ETW", TOFU, bootstrap=200).query("metric == 'prob'").to_dict("records"):
        assert row["mean_difference"] < -0.4
        assert np.isnan([row["low"], row["high"]]).all()
        assert row["authors"] == authors
        assert row["holds"] == "not shown"
        assert row["reason"] == f"authors: {authors}, at least 6 needed for an interval"
        assert row["wilcoxon_p"] == pytest.approx(2 / 2 ** len(groups))  # all signs agree
        assert row["holm"] == pytest.approx(min(1, 2 * row["wilcoxon_p"]))


def test_the_least_number_of_authors_is_enough():
    table, groups = samples(5 * 6)
    row = sample_table(table, groups, "ETW", TOFU, bootstrap=200).iloc[0]
    assert (row["authors"], row["holds"]) == (6, "lower")
    assert row["low"] < row["high"] < 0
    assert pd.isna(row["reason"])
    sign_test = [stats.binomtest(n, n).pvalue for n in (LEAST_CLUSTERS - 1, LEAST_CLUSTERS)]
    assert sign_test[1] < LEVEL < sign_test[0]


def test_authors_without_a_value_do_not_count():
    table, groups = samples(5 * 6)
    table.loc[table["sample"].map(groups) == "author5", "prob"] = np.nan
    row = sample_table(table, groups, "ETW", TOFU, bootstrap=50).iloc[0]
    assert (row["undefined"], row["holds"]) == (5, "not shown")
    assert row["reason"].startswith("authors: 5,")
    table["prob"] = np.nan
    assert sample_table(table, groups, "ETW", TOFU, bootstrap=50).iloc[0]["reason"] == "no sample with both values"


def test_the_interval_draws_whole_authors():
    # All samples of an author are alike: more of them add no certainty.
    values, cluster = np.arange(8.0), np.array(list("abcdefgh"))
    few = clustered_interval(values, cluster, 4000, 0)
    many = clustered_interval(np.repeat(values, 100), np.repeat(cluster, 100), 4000, 0)
    assert few == pytest.approx(many)
    spread = np.sqrt(5.25 / 8)  # standard error of the mean of 8 authors
    assert few[1] - few[0] == pytest.approx(2 * 1.96 * spread, rel=0.2)
    # Written out: authors of unequal size
    values, cluster = np.array([1.0, 1.0, 1.0, 5.0, 2.0, 2.0, 4.0, 0.0, 7.0]), np.array(list("aaabccdef"))
    counts = np.random.default_rng(3).multinomial(6, np.full(6, 1 / 6), size=500)
    means = [np.average([1.0, 5.0, 2.0, 4.0, 0.0, 7.0], weights=c * [3, 1, 2, 1, 1, 1]) for c in counts]
    assert clustered_interval(values, cluster, 500, 3) == pytest.approx(np.percentile(means, [2.5, 97.5]))
    assert np.isnan(clustered_interval(values, cluster, 0, 3)).all()
    assert np.isnan(clustered_interval(values[:0], cluster[:0], 500, 3)).all()
    assert np.isnan(clustered_interval(values[:-1], cluster[:-1], 500, 3)).all()  # 5 authors


def test_layouts_fit_the_tables_and_give_wilcoxons_floor():
    seeds = headed(seed_table(runs({"ETW": [1.0, 2.0], "GA": [1.5, 2.7]}), "ETW", TOFU), TOFU)
    assert {*seed_layout("ETW", 2).columns} <= set(seeds)
    assert seeds["metric_heading"].notna().all()
    assert "0.5 for the study's 2" in " ".join(seed_layout("ETW", 2).notes)
    assert "With fewer than 6 there is none" in " ".join(sample_layout("ETW", 10, TOFU).notes)
    assert "0.0625 is above 0.05" in " ".join(sample_layout("ETW", 10, TOFU).notes)
    table, groups = samples(10)
    by_sample = headed(sample_table(table, groups, "ETW", TOFU, 10).assign(model="m", split="forget10"), TOFU)
    assert {*sample_layout("ETW", 10, TOFU).columns} <= set(by_sample)
    assert all(
        made.notes[-1] == "Tuned."
        for made in (seed_layout("ETW", 2, ("Tuned.",)), sample_layout("ETW", 2, TOFU, ("Tuned.",)))
    )
    assert by_sample["metric_heading"].notna().all()
