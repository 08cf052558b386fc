"""Agreement of label sources, counted by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from lethe.tables.agreement import agreement_table, layout


def tokens(**labels) -> pd.DataFrame:
    table = pd.DataFrame({"sample": ["a"] * 5 + ["b"] * 5, "eos": [False] * 4 + [True] + [False] * 4 + [True]})
    return table.assign(**{f"informative_{k}": pd.array(v, dtype="boolean") for k, v in labels.items()})


def test_counts_by_hand():
    first = [1, 1, 0, 0, 0, 1, 1, 0, 0, 0]
    second = [1, 0, 1, 0, 1, 1, 0, 0, 0, 0]  # the 1 on the end token does not count
    row = agreement_table(tokens(x=first, y=second), ["x", "y"]).iloc[0]
    assert row[["first", "second", "tokens", "samples"]].tolist() == ["x", "y", 10, 2]
    assert (row["share_first"], row["share_second"]) == (0.4, 0.3)
    assert row["jaccard"] == 2 / 5
    assert row["first_marked"] == 2 / 4
    assert row["second_marked"] == 2 / 3
    # agreement 7/10, by chance 0.4·0.3 + 0.6·0.7 = 0.54
    assert row["kappa"] == pytest.approx((0.7 - 0.54) / (1 - 0.54))
    assert row["kappa"] == pytest.approx(cohen_kappa_score(first, [1, 0, 1, 0, 0, 1, 0, 0, 0, 0]))
    assert pd.isna(row["reason"])


def test_only_tokens_that_both_sources_know_count():
    first, second = [1, 0, 1, 0, 0] + [None] * 5, [1, 1, 0, 0, 0] * 2
    row = agreement_table(tokens(x=first, y=second), ["x", "y"]).iloc[0]
    assert (row["tokens"], row["samples"]) == (5, 1)
    assert row["share_second"] == 2 / 5


def test_three_sources_make_three_pairs_and_one_makes_none():
    table = tokens(x=[1, 0] * 5, y=[0, 1] * 5, z=[1, 1] * 5)
    pairs = agreement_table(table, ["x", "y", "z"])
    assert list(zip(pairs["first"], pairs["second"], strict=True)) == [("x", "y"), ("x", "z"), ("y", "z")]
    alone = agreement_table(table, ["x"])
    assert len(alone) == 0
    assert set(alone) == set(pairs)
    assert "one label source, x" in layout("forget10", ["x"], "structural").notes[0]
    assert "kappa" in layout("forget10", ["x", "y"], "structural").notes[0]
    assert "end token: here it is left out" in layout("forget10", ["x", "y"], "drop").notes[0]


@pytest.mark.parametrize(
    ("first", "second", "reason", "undefined"),
    [
        ([0] * 10, [0] * 10, "one class only", ["kappa", "jaccard", "first_marked", "second_marked"]),
        ([0] * 10, [1, 0] * 5, "x marks nothing", ["first_marked"]),
        ([1, 0, 1, 0, 0] + [None] * 5, [None] * 5 + [1, 0, 1, 0, 0], "no token in common", ["kappa", "share_first"]),
    ],
)
def test_undefined_values_have_a_reason(first, second, reason, undefined):
    row = agreement_table(tokens(x=first, y=second), ["x", "y"]).iloc[0]
    assert reason in row["reason"]
    assert row[undefined].isna().all()


def test_identical_sources_agree_fully():
    row = agreement_table(tokens(x=[1, 0] * 5, y=[1, 0] * 5), ["x", "y"]).iloc[0]
    assert row[["kappa", "jaccard", "first_marked", "second_marked"]].tolist() == [1.0, 1.0, 1.0, 1.0]
    assert np.isfinite(row["kappa"])
