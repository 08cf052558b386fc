"""Functional forms: lines through what each search tried, and what a budget of utility buys."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from lethe.errors import InputError
from lethe.figures import etw_forms, style
from lethe.figures.tradeoff import PASS_HEIGHT

METHODS = ["GA", "GradDiff", "ETW", "Variance"]


def search(method: str, losses: list[float], qualities: list[float], **keys: list) -> pd.DataFrame:
    """One row per point; the full model's utility is 0.6, the second point is chosen."""
    values = [dict(zip(keys, combination, strict=True)) for combination in zip(*keys.values(), strict=True)]
    table = pd.DataFrame({"method": method, "parameters": map(json.dumps, values), "delta_mu": losses})
    table["model_utility"], table["neg_log10_fq"] = 0.6 - table["delta_mu"] / 100, qualities
    return table.assign(model="1B", split="forget10", chosen=table.index == 1)


@pytest.fixture
def points() -> pd.DataFrame:
    return pd.concat(
        [
            search("GradDiff", [1.0, 2.0, 9.0], [5.0, 4.0, 1.0], strength=[0.1, 0.3, 1.0]),
            search(
                "ETW",
                [0.5, -0.25, 3.0, 4.0],
                [3.0, 3.5, 2.0, 1.0],
                **{"weighting.temperature": [1.0, 1.0, 2.0, 2.0], "strength": [0.3, 0.1, 0.1, 0.3]},
            ),
            search("Variance", [6.0, math.nan, 7.0], [0.5, math.nan, 0.25], strength=[0.1, 0.3, 1.0]),
        ]
    )


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def drawn(axes, method: str) -> list[list]:
    return [line.get_xydata().tolist() for line in axes.lines if line.get_label() == method]


def test_a_line_goes_through_the_points_in_the_order_of_the_last_key(points):
    (axes,) = etw_forms.draw(points, METHODS).axes
    assert drawn(axes, "GradDiff") == [[[0.59, 5], [0.58, 4], [0.51, 1]]]
    first, second = drawn(axes, "ETW")  # one for each temperature
    np.testing.assert_allclose(first, [[0.6025, 3.5], [0.595, 3]])
    np.testing.assert_allclose(second, [[0.57, 2], [0.56, 1]])
    colour = next(line.get_color() for line in axes.lines if line.get_label() == "ETW")
    assert to_hex(colour).upper() == style.colour("ETW")
    assert not drawn(axes, "GA")  # was not searched


def test_numbers_are_in_order_and_names_as_they_are_written():
    numbers = search("ETW", [1, 2, 3], [1, 2, 3], strength=[10.0, 0.5, 2])
    assert [line["delta_mu"].tolist() for line in etw_forms.lines(numbers)] == [[2, 3, 1]]
    names = search("ETW", [1, 2, 3], [1, 2, 3], **{"weighting.form": ["b", "c", "a"]})
    assert [line["delta_mu"].tolist() for line in etw_forms.lines(names)] == [[1, 2, 3]]


def test_undefined_points_break_the_line_and_are_counted(points):
    figure = etw_forms.draw(points, METHODS)
    (line,) = drawn(figure.axes[0], "Variance")
    assert np.isnan(line[1]).all()
    assert not np.isnan(line[0]).any()
    assert "1 of 10 configurations undefined (Variance 1)" in " ".join(" ".join(texts(figure)).split())


def test_every_point_is_a_hollow_mark_and_the_chosen_one_has_a_dot(points):
    (axes,) = etw_forms.draw(points, METHODS).axes
    marks = [line for line in axes.lines if line.get_label() == "_tried ETW"]
    assert len(marks) == 4
    assert {line.get_markerfacecolor() for line in marks} == {"none"}
    np.testing.assert_allclose(drawn(axes, "_chosen ETW"), [[[0.6025, 3.5]]])
    assert drawn(axes, "_chosen Variance") == []  # undefined


def test_the_full_models_utility_and_the_five_per_cent_line_are_drawn(points):
    (axes,) = etw_forms.draw(points, METHODS).axes
    (full,) = [line for line in axes.lines if line.get_label() == "full"]
    assert full.get_xdata() == pytest.approx([0.6, 0.6])
    (level,) = [line for line in axes.lines if line.get_label() == "p = 0.05"]
    assert level.get_ydata() == pytest.approx([PASS_HEIGHT] * 2)


def test_legend_names_methods_with_the_number_of_points_per_panel(points):
    both = pd.concat([points, points.assign(split="forget01"), points.assign(model="3B")])
    figure = etw_forms.draw(both, METHODS)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["GradDiff (3)", "ETW (4)", "Variance (3)", "p = 0.05", "utility of the full model"]
    assert [axes.get_title() for axes in figure.axes] == [
        "1B, forget10",
        "1B, forget01",
        "3B, forget10",
        "3B, forget01",
    ]


def test_what_a_budget_of_utility_buys(points):
    table = etw_forms.cheapest(points).set_index("method")
    assert list(table) == [
        *("model", "split", "points", "undefined"),
        *("neg_log10_fq_within_1", "neg_log10_fq_within_2", "neg_log10_fq_within_5"),
    ]
    assert table["points"].to_dict() == {"GradDiff": 3, "ETW": 4, "Variance": 3}
    assert table["undefined"].to_dict() == {"GradDiff": 0, "ETW": 0, "Variance": 1}
    budgets = table.filter(like="within").to_numpy()
    np.testing.assert_array_equal(budgets, [[5, 4, 4], [3, 3, 1], [np.nan] * 3])


def test_a_column_that_is_missing_is_named(points):
    with pytest.raises(InputError, match="parameters"):
        etw_forms.draw(points.drop(columns="parameters"), METHODS)
    with pytest.raises(InputError, match="delta_mu"):
        etw_forms.cheapest(points.drop(columns="delta_mu"))


@pytest.mark.filterwarnings("error")
def test_page_width_readable_text_and_nothing_cut_off(points, fits_page):
    many = pd.concat(points.assign(split=split, model=m) for m in ("1B", "3B") for split in ("forget01", "forget10"))
    for table in (points, many, points.assign(neg_log10_fq=np.nan)):
        figure = etw_forms.draw(table, METHODS)
        fits_page(figure)
