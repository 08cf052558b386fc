"""The plane of utility and forget quality: what is best in it, and how its axes are scaled."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lethe.benchmarks.tofu import Tofu
from lethe.errors import InputError
from lethe.figures import plane
from lethe.selection import RULES

TOFU = Tofu()

LOWEST, FQ, UTILITY = "lowest_aggregate", "lowest_neg_log10_fq", "highest_utility_among_forgotten"


@pytest.fixture
def rows() -> pd.DataFrame:
    """The third cannot be drawn for want of a utility, the fourth because its forget quality is 0."""
    return pd.DataFrame(
        {
            "model_utility": [0.5, 0.4, np.nan, 0.5, 0.3],
            "neg_log10_fq": [2.0, 1.0, 0.1, np.inf, 0.5],
            "aggregate": [3.0, np.nan, 0.1, 0.2, 4.0],
            "delta_mu": [1.5, np.nan, 1.0, np.nan, 8.0],
            "forget_quality": [0.01, 0.1, 0.8, 0.0, 0.32],
        },
        index=[10, 11, 12, 13, 14],
    )


def best_run(rows, rule):
    return plane.best_run(plane.on_plane(rows, TOFU, "runs table"), rule, TOFU)


def test_the_line_is_where_the_selection_rules_have_it():
    line = plane.pass_line(TOFU)
    assert line["y"] == TOFU.headline.passed[0] == pytest.approx(-math.log10(0.05)) == pytest.approx(1.30103, abs=1e-5)
    assert line["label"] == "p = 0.05"


def test_every_rule_has_words_for_the_legend():
    assert set(plane.RULE_WORDS) == set(RULES)


def test_best_run_is_the_rules_among_those_that_can_be_drawn(rows):
    assert best_run(rows, LOWEST) == (10, "lowest Agg.")
    assert best_run(rows, FQ)[0] == 14
    assert best_run(rows, UTILITY)[0] == 11
    index, why = best_run(rows.assign(aggregate=np.nan), LOWEST)
    assert (index, why) == (14, "Agg. undefined everywhere: lowest −log₁₀ FQ")
    assert best_run(rows.assign(model_utility=np.nan), LOWEST)[0] is None
    with pytest.raises(InputError, match="delta_mu"):
        best_run(rows.drop(columns="delta_mu"), LOWEST)


@pytest.mark.parametrize("values", [[], [np.nan], [0.0, 0.0], [0.5, 0.6], [0.05, 0.2, 0.25]])
def test_the_utility_axis_is_left_alone_where_there_is_nothing_to_squeeze(values):
    assert not plane.utility_scale([], pd.Series(values, dtype=float))


def test_legends_fit_and_have_no_lonely_last_entry():
    figure = Figure(figsize=(6.5, 3))
    assert plane.legend_columns(figure, ["ab"] * 4) == 4
    columns = plane.legend_columns(figure, ["some method"] * 7)
    assert columns == 4  # 4 + 3, not 6 + 1
