"""AUC, its cluster-bootstrap interval and ROC points, against scikit-learn and against hand-counted pairs."""

from pathlib import Path
from types import SimpleNamespace

import jinja2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc as area
from sklearn.metrics import roc_auc_score

from lethe.analysis import auc as roc
from lethe.analysis.auc import auc_table, definition, labelled, ranking, resampled_auc, roc_points
from lethe.errors import InputError
from lethe.tokens.table import considered

ROOT = Path(__file__).resolve().parents[2]


def table(samples: int = 40, seed: int = 0, memorised: float = 0.0) -> pd.DataFrame:
    """A token table whose informative tokens are less probable; the last token of each sample is EOS."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 60, samples)
    sample = np.repeat([f"full-{i:04d}" for i in range(samples)], lengths)
    position = np.concatenate([np.arange(n) for n in lengths])
    eos = position == np.repeat(lengths, lengths) - 1
    informative = (rng.random(len(sample)) < 0.25) & ~eos
    logit = rng.normal(0, 2, len(sample)) - 1.2 * informative + memorised
    logprob = -np.log1p(np.exp(-logit))
    return pd.DataFrame(
        {
            "sample": sample,
            "position": position,
            "eos": eos,
            "logprob": logprob,
            "entropy_T1.0": -logprob + rng.gamma(2, 0.3, len(sample)),
            "informative_gold": pd.array(informative, dtype="boolean"),
            "weight_GA": 1.0,
            "weight_WGA": np.exp(logprob),
            "weight_SCN": (informative ^ (rng.random(len(sample)) < 0.2)).astype(float),
        }
    )


def by_hand(scores, positive) -> float:
    """Share of (positive, negative) pairs won, ties one half, pair by pair."""
    pairs = [(s > t) + 0.5 * (s == t) for s in scores[positive] for t in scores[~positive]]
    return float(np.mean(pairs))


def test_auc_of_a_handful_of_tokens_is_the_counted_share_of_pairs():
    tokens = pd.DataFrame(
        {
            "sample": ["a", "a", "a", "b", "b"],
            "eos": False,
            "entropy_T1.0": [3.0, 1.0, 2.0, 2.0, 0.0],
            "informative_gold": pd.array([True, False, True, False, False], dtype="boolean"),
        }
    )
    result = auc_table(tokens, ["gold"], ["entropy_T1.0", "-entropy_T1.0"], bootstrap=0)
    # 3 beats 1, 2, 0; 2 beats 1 and 0 and ties with 2: 5.5 of 6 pairs.
    assert result["auc"].tolist() == pytest.approx([5.5 / 6, 0.5 / 6], abs=1e-15)
    assert result.loc[0, ["tokens", "positives", "samples"]].tolist() == [5, 2, 2]
    assert result["low"].isna().all()


def test_auc_equals_sklearn_with_and_without_ties():
    tokens = table()
    positive = tokens["informative_gold"].to_numpy(bool)
    scores = ["entropy_T1.0", "-logprob", "weight_SCN", "weight_WGA", "weight_GA"]
    result = auc_table(tokens, ["gold"], scores, bootstrap=0).set_index("score")["auc"]
    for score in scores:
        values = tokens[score.removeprefix("-")].to_numpy() * (-1 if score.startswith("-") else 1)
        assert result[score] == pytest.approx(roc_auc_score(positive, values), abs=1e-12)
        assert result[score] == pytest.approx(by_hand(values, positive), abs=1e-12)
    assert result["weight_GA"] == 0.5


@pytest.mark.parametrize("score", ["entropy_T1.0", "weight_SCN"])
def test_every_resample_equals_sklearn_with_sample_weights(score):
    tokens = table(samples=12)
    positive = tokens["informative_gold"].to_numpy(bool)
    cluster = pd.factorize(tokens["sample"])[0]
    counts = np.random.default_rng(1).multinomial(12, np.full(12, 1 / 12), size=20)
    got = resampled_auc(tokens[score].to_numpy(), positive, cluster, counts)
    for auc, count in zip(got, counts, strict=True):
        expected = roc_auc_score(positive, tokens[score], sample_weight=count[cluster])
        assert auc == pytest.approx(expected, abs=1e-12)


def test_a_resample_with_one_class_is_undefined():
    scores, positive = np.array([1.0, 0.0, 2.0]), np.array([True, False, False])
    got = resampled_auc(scores, positive, np.array([0, 0, 1]), np.array([[1, 1], [0, 2], [2, 0]]))
    np.testing.assert_array_equal(got, [0.5, np.nan, 1.0])


def test_interval_is_the_percentiles_of_resampled_answers():
    tokens = table()
    row = auc_table(tokens, ["gold"], ["entropy_T1.0"], bootstrap=300, seed=7).iloc[0]
    rng = np.random.default_rng(7)
    cluster, names = pd.factorize(tokens["sample"])
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=300)
    expected = [
        roc_auc_score(tokens["informative_gold"].astype(bool), tokens["entropy_T1.0"], sample_weight=d[cluster])
        for d in draws
    ]
    assert [row["low"], row["high"]] == pytest.approx(np.percentile(expected, [2.5, 97.5]), abs=1e-12)
    assert row["low"] < row["auc"] < row["high"]


def test_interval_widens_when_tokens_of_an_answer_are_copies():
    # 20 copies of each token carry no information; a bootstrap over tokens would shrink the interval by √20.
    tokens = table(samples=30)
    copied = tokens.loc[tokens.index.repeat(20)]
    one, many = (auc_table(t, ["gold"], ["entropy_T1.0"], 500).iloc[0] for t in (tokens, copied))
    assert many["auc"] == pytest.approx(one["auc"], abs=1e-12)
    assert many["high"] - many["low"] == pytest.approx(one["high"] - one["low"], abs=1e-12)


def test_resamples_are_reproducible_and_depend_on_the_seed():
    tokens = table()
    a, b, c = (auc_table(tokens, ["gold"], ["entropy_T1.0"], 50, seed)["low"].item() for seed in (3, 3, 4))
    assert a == b != c


def test_saturated_confidence_weights_are_ranked_by_log_probability():
    tokens = table(memorised=18.0)  # 1 − p down to 1e-11: float32 sees p = 1 nearly everywhere
    p = np.exp(tokens["logprob"])
    tokens["weight_WGA"] = p.astype("float32")
    tokens["weight_Imp"] = (1 - p.astype("float32")).astype(float)
    tokens["weight_Imp5"] = (-np.expm1(tokens["logprob"])) ** 5
    result = auc_table(
        tokens,
        ["gold"],
        ["weight_WGA", "weight_Imp", "weight_Imp5", "logprob"],
        bootstrap=0,
    ).set_index("score")["auc"]
    positive = tokens["informative_gold"].to_numpy(bool)
    assert abs(roc_auc_score(positive, tokens["weight_WGA"]) - result["logprob"]) > 0.02  # the ties are real
    assert result["weight_WGA"] == pytest.approx(result["logprob"], abs=1e-12)
    assert result["weight_WGA"] == pytest.approx(1 - result["weight_Imp"], abs=1e-12)
    assert result["weight_Imp5"] == result["weight_Imp"]


def test_tnpo_with_its_epsilon_ranks_like_confidence_at_the_starting_model():
    tokens = table()
    p = np.exp(tokens["logprob"])
    tokens["weight_TNPO"] = (2 * p**4 / (2 * p**4 + 1e-5)).astype("float32")  # invariant 9: 1.0 for most tokens
    result = auc_table(tokens, ["gold"], ["weight_TNPO", "weight_WGA"], bootstrap=0)["auc"]
    assert result[0] == result[1]


def test_rounding_noise_in_constant_weights_decides_nothing():
    tokens = table()
    tokens["weight_TNPO"] = 1 + 1e-8 * np.exp(tokens["logprob"])
    assert auc_table(tokens, ["gold"], ["weight_TNPO"], 50)[["auc", "low", "high"]].iloc[0].tolist() == [0.5] * 3


def test_masks_and_weights_that_are_no_function_of_probability_are_left_alone():
    tokens = table()
    tokens["weight_ETW"] = tokens["entropy_T1.0"]
    for column in ("weight_SCN", "weight_ETW"):
        np.testing.assert_array_equal(ranking(tokens, column), tokens[column])
    # A mask that happens to follow the log-probability keeps its ties.
    tokens["weight_mask"] = (tokens["logprob"] > tokens["logprob"].median()).astype(float)
    np.testing.assert_array_equal(ranking(tokens, "weight_mask"), tokens["weight_mask"])


def test_eos_is_structural_or_dropped():
    tokens = table()
    tokens.loc[tokens["eos"], "informative_gold"] = True  # whatever the source says of it
    kept, positive = labelled(tokens, "gold")
    assert len(kept) == len(tokens)
    assert not positive[kept["eos"]].any()
    looked_at = {eos: considered(tokens, eos) for eos in ("structural", "drop")}
    result = {eos: auc_table(rows, ["gold"], ["entropy_T1.0"], 0).iloc[0] for eos, rows in looked_at.items()}
    assert result["structural"]["tokens"] == len(tokens)
    assert result["drop"]["tokens"] == len(tokens) - tokens["sample"].nunique()
    assert result["drop"]["auc"] != result["structural"]["auc"]


def test_groups_are_drawn_whole():
    tokens = table().assign(group=lambda t: t["sample"].str[-1])  # 10 authors, 4 answers each
    row = auc_table(tokens, ["gold"], ["entropy_T1.0"], bootstrap=200, seed=7, cluster="group").iloc[0]
    code, names = pd.factorize(tokens["group"])
    draws = np.random.default_rng(7).multinomial(len(names), np.full(len(names), 1 / len(names)), size=200)
    expected = [
        roc_auc_score(tokens["informative_gold"].astype(bool), tokens["entropy_T1.0"], sample_weight=d[code])
        for d in draws
    ]
    assert [row["low"], row["high"]] == pytest.approx(np.percentile(expected, [2.5, 97.5]), abs=1e-12)
    assert row[["samples", "clusters"]].tolist() == [40, 10]
    answers = auc_table(tokens, ["gold"], ["entropy_T1.0"], bootstrap=200, seed=7).iloc[0]
    assert answers[["samples", "clusters"]].tolist() == [40, 40]
    assert answers["auc"] == row["auc"]
    with pytest.raises(InputError, match="group"):
        auc_table(table(), ["gold"], ["entropy_T1.0"], cluster="group")


def test_a_score_is_ranked_once_for_all_label_sources(ranked_once):
    tokens = table().assign(informative_other=lambda t: ~t["informative_gold"])
    assert ranked_once(roc, lambda: auc_table(tokens, ["gold", "other"], ["weight_WGA", "logprob"], bootstrap=0)) == [
        "weight_WGA",
        "logprob",
    ]


@pytest.mark.parametrize("eos", ["structural", "drop"])
def test_the_definition_is_the_caption_of_figure_2_word_for_word(eos):
    caption = (ROOT / "workflow/report/etw_fig2.rst").read_text(encoding="utf-8")
    snakemake = SimpleNamespace(params=SimpleNamespace(eos=eos, cluster="sample"), wildcards=SimpleNamespace(split="x"))
    assert definition(eos) in jinja2.Template(caption).render(snakemake=snakemake)
    assert ("left out" in definition(eos)) == (eos == "drop")
    for what in ("full vocabulary", "k likeliest", "temperature T", "position before it", "end token bears loss"):
        assert what in definition(eos)


def test_samples_without_a_label_are_left_out_even_their_eos():
    tokens = table(samples=20)
    silent = tokens["sample"].isin(tokens["sample"].unique()[:5])
    tokens["informative_half"] = tokens["informative_gold"].mask(silent)
    # As Parquet files of other writers give it back: objects, None for missing.
    tokens["informative_objects"] = tokens["informative_half"].astype(object).where(~silent, None)
    shuffled = tokens.sample(frac=1, random_state=0)
    result = auc_table(shuffled, ["half", "objects"], ["entropy_T1.0"], bootstrap=0)
    rest = tokens[~silent]
    expected = roc_auc_score(rest["informative_gold"].astype(bool), rest["entropy_T1.0"])
    assert result["auc"].tolist() == pytest.approx([expected, expected], abs=1e-12)
    assert result["samples"].tolist() == [15, 15]


def test_a_repeated_index_does_not_mix_up_tokens():
    halves = [table(samples=10, seed=seed).assign(sample=lambda t, s=seed: f"{s}" + t["sample"]) for seed in (0, 1)]
    silent = pd.concat(halves).assign(
        informative_gold=lambda t: t["informative_gold"].mask(t["sample"] == "0full-0003")
    )
    got = auc_table(silent, ["gold"], ["entropy_T1.0"], 0)["auc"]
    assert got.equals(auc_table(silent.reset_index(drop=True), ["gold"], ["entropy_T1.0"], 0)["auc"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"informative_gold": False}, "single class: every token is structural"),
        ({"informative_gold": True, "eos": False}, "single class: every token is informative"),
        ({"informative_gold": pd.NA}, "no labelled token"),
        ({"entropy_T1.0": np.nan}, "tokens have no score"),
    ],
)
def test_undefined_auc_carries_its_reason(change, reason):
    tokens = table(samples=4).assign(**change)
    row = auc_table(tokens, ["gold"], ["entropy_T1.0"], bootstrap=20).iloc[0]
    assert np.isnan([row["auc"], row["low"], row["high"]]).all()
    assert reason in row["reason"]
    assert roc_points(tokens, "gold", "entropy_T1.0").empty


def test_one_sample_has_no_interval():
    row = auc_table(table(samples=1, seed=1), ["gold"], ["entropy_T1.0"], 100).iloc[0]
    assert np.isfinite(row["auc"])
    assert np.isnan(row["low"])
    assert pd.isna(row["reason"])


@pytest.mark.parametrize("score", ["entropy_T1.0", "weight_SCN", "-logprob", "weight_WGA"])
def test_roc_points_run_from_corner_to_corner_and_hold_the_auc(score):
    tokens = table()
    points = roc_points(tokens, "gold", score)
    assert points.iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    expected = auc_table(tokens, ["gold"], [score], 0)["auc"].item()
    assert area(points["fpr"], points["tpr"]) == pytest.approx(expected, abs=1e-12)


def test_missing_column_names_it():
    with pytest.raises(InputError, match="informative_spacy"):
        auc_table(table(), ["spacy"], ["logprob"])
    with pytest.raises(InputError, match="weight_ETW"):
        auc_table(table(), ["gold"], ["weight_ETW"])
