"""The choice among a search's runs: each rule, ties, undefined values, and that doing nothing never wins."""

import math

import numpy as np
import pandas as pd
import pytest

from lethe.benchmarks.tofu import Tofu
from lethe.evaluation.runs import run_row
from lethe.metrics import Value
from lethe.metrics.aggregate import aggregate, delta_mu
from lethe.selection import RULES, select

TOFU = Tofu()

NAN = math.nan


def runs(index=None, **columns) -> pd.DataFrame:
    """One row per point a, b, c, …; metrics that are not given are undefined."""
    (count,) = {len(values) for values in columns.values()}
    metrics = ("aggregate", "delta_mu", "neg_log10_fq", "forget_quality", "model_utility")
    table = {name: np.array(columns.get(name, [NAN] * count), dtype=float) for name in metrics}
    return pd.DataFrame({"point": list("abcdefg"[:count]), **table}, index=index)


def chosen(rule, **columns) -> str:
    return select(runs(**columns), rule, TOFU)[0]


# --- lowest Agg. ------------------------------------------------------------------------------------------


def test_lowest_aggregate():
    point, why = select(runs(aggregate=[3.0, 1.0, 2.0], neg_log10_fq=[0.0, 9.0, 1.0]), "lowest_aggregate", TOFU)
    assert point == "b"
    assert why == "lowest Agg."


def test_hardly_moving_wins_by_the_papers_score_and_by_no_other_rule():
    columns = {"aggregate": [0.2, 1.75], "delta_mu": [0.01, 3.5], "neg_log10_fq": [20.0, 0.5]}
    others = {"forget_quality": [1e-20, 0.3], "model_utility": [0.6, 0.565]}
    picks = {rule: chosen(rule, **columns, **others) for rule in RULES}
    assert picks.pop("lowest_aggregate") == "a"
    assert set(picks.values()) == {"b"}


def test_best_forget_quality_within_a_budget_of_utility():
    rule = "lowest_neg_log10_fq_within_budget"
    columns = {"neg_log10_fq": [9.0, 4.0, 1.0, NAN], "delta_mu": [-1.0, 5.0, 5.1, 0.0]}
    assert select(runs(**columns), rule, TOFU) == ("b", "lowest −log₁₀ FQ within 5 points of utility")
    point, why = select(runs(neg_log10_fq=[9.0, 4.0, 1.0], delta_mu=[NAN, 30.0, 6.0]), rule, TOFU)
    assert (point, why) == ("c", "none within 5 points of utility: smallest loss")
    assert chosen(rule, neg_log10_fq=[9.0, 4.0], delta_mu=[NAN, NAN]) == "b"


def test_an_aggregate_that_is_undefined_for_another_reason_does_not_win():
    assert chosen("lowest_aggregate", aggregate=[NAN, 50.0, NAN], neg_log10_fq=[0.0, 9.0, 0.1]) == "b"


def test_what_forgets_as_well_for_nothing_wins():
    columns = {"aggregate": [0.1, NAN, NAN, 9.0], "neg_log10_fq": [0.4, 0.4, 0.4, 0.1]}
    point, why = select(runs(**columns, delta_mu=[0.2, -0.1, -2.0, 90.0]), "lowest_aggregate", TOFU)
    assert point == "c"  # of two that forget alike, the one with more utility
    assert "no utility lost" in why
    columns["neg_log10_fq"] = [0.4, 0.5, 0.3, 0.1]
    assert chosen("lowest_aggregate", **columns, delta_mu=[0.2, -0.1, 0.0, 90.0]) == "c"
    columns["neg_log10_fq"] = [0.4, 0.5, 0.6, 0.1]
    assert chosen("lowest_aggregate", **columns, delta_mu=[0.2, -0.1, -2.0, 90.0]) == "a"


def test_without_any_aggregate_forget_quality_decides():
    table = runs(aggregate=[NAN] * 3, neg_log10_fq=[4.0, NAN, 2.0], model_utility=[0.9, 0.9, 0.1])
    point, why = select(table, "lowest_aggregate", TOFU)
    assert point == "c"
    assert "Agg. undefined everywhere" in why
    assert "lowest −log₁₀ FQ" in why


def test_doing_nothing_does_not_win():
    """A run that leaves the model as it is loses no utility: its Agg. is undefined, not 0."""
    full = Value(0.6)
    rows = []
    for point, (log_quality, utility) in {
        "nothing": (20.0, 0.6),
        "nothing, and utility gained": (20.0, 0.61),
        "forgotten at a price": (1.0, 0.56),
    }.items():
        quality, lost = Value(log_quality), delta_mu(full, Value(utility))
        summary = {"neg_log10_fq": quality, "delta_mu": lost, "aggregate": aggregate(quality, lost)}
        summary |= {"forget_quality": Value(10**-log_quality), "model_utility": Value(utility)}
        rows.append({**run_row("m", "forget10", "ETW/seed1000", summary), "point": point})
    assert [lost <= 0 for lost in pd.DataFrame(rows)["delta_mu"]] == [True, True, False]
    for rule in RULES:
        assert select(pd.DataFrame(rows), rule, TOFU)[0] == "forgotten at a price", rule
    lossless = select(pd.DataFrame(rows[:2]), "lowest_aggregate", TOFU)[1]
    assert "Agg. undefined everywhere" in lossless


# --- best forget quality ----------------------------------------------------------------------------------


def test_lowest_neg_log10_fq():
    table = runs(aggregate=[0.1, 5.0, 9.0], neg_log10_fq=[3.0, NAN, 0.0], model_utility=[0.6, 0.6, 0.0])
    assert select(table, "lowest_neg_log10_fq", TOFU) == ("c", "lowest −log₁₀ FQ")


# --- utility among those that have forgotten --------------------------------------------------------------


def test_highest_utility_among_forgotten():
    point, why = select(
        runs(
            forget_quality=[0.01, 0.2, 0.9, 0.3], model_utility=[0.9, 0.3, 0.1, NAN], neg_log10_fq=[2, 0.7, 0.05, 0.5]
        ),
        "highest_utility_among_forgotten",
        TOFU,
    )
    assert point == "b"
    assert "highest model utility" in why
    assert "0.05" in why


def test_the_threshold_itself_is_not_passed():
    line = -math.log10(0.05)
    assert TOFU.headline.passed == (line, "p = 0.05")
    columns = {"model_utility": [0.9, 0.1], "neg_log10_fq": [line, 1.29]}
    assert chosen("highest_utility_among_forgotten", **columns) == "b"


def test_where_nothing_is_forgotten_forget_quality_decides():
    table = runs(forget_quality=[1e-9, 0.04, NAN], model_utility=[0.9, 0.1, 0.8], neg_log10_fq=[9.0, 1.4, NAN])
    point, why = select(table, "highest_utility_among_forgotten", TOFU)
    assert point == "b"
    assert "none has forgotten (p = 0.05)" in why


def test_forgotten_without_a_utility_is_no_candidate():
    columns = {"forget_quality": [0.5, 0.01], "model_utility": [NAN, 0.6], "neg_log10_fq": [0.3, 2.0]}
    point, why = select(runs(**columns), "highest_utility_among_forgotten", TOFU)
    assert point == "a", "by forget quality, since no candidate is left"
    assert "lowest −log₁₀ FQ" in why


# --- all rules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_ties_go_to_the_first(rule):
    columns = {"aggregate": [9, 1, 1], "neg_log10_fq": [9, 1, 1], "forget_quality": [0.1] * 3}
    assert chosen(rule, **columns, model_utility=[0.1, 0.5, 0.5]) == "b"


@pytest.mark.parametrize("rule", RULES)
def test_where_nothing_is_defined_the_first_is_taken_and_said_so(rule):
    point, why = select(runs(aggregate=[NAN, NAN]), rule, TOFU)
    assert point == "a"
    assert "nothing defined" in why


@pytest.mark.parametrize("rule", RULES)
def test_infinite_values_are_undefined(rule):
    columns = {"aggregate": [-np.inf, 2.0], "neg_log10_fq": [-np.inf, 2.0], "forget_quality": [0.5, 0.5]}
    assert chosen(rule, **columns, model_utility=[np.inf, 0.1]) == "b"


@pytest.mark.parametrize("rule", RULES)
def test_the_tables_index_does_not_matter(rule):
    columns = {"aggregate": [2, 1], "neg_log10_fq": [2, 1], "forget_quality": [0.1] * 2, "model_utility": [0.1, 0.5]}
    assert select(runs(index=[7, 7], **columns), rule, TOFU) == select(runs(**columns), rule, TOFU)
    assert select(runs(index=[1, 0], **columns), rule, TOFU)[0] == "b"
