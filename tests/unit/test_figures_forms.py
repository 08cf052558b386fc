"""Functional forms: a panel per method with what its search tried, and what a budget of utility buys."""

import json
import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from lethe.benchmarks.tofu import Tofu
from lethe.errors import InputError
from lethe.figures import etw_forms, style

TOFU = Tofu()

METHODS = ["GA", "GradDiff", "ETW", "Margin", "TopK", "Variance"]
REFERENCE = ["GradDiff"]


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
            search(
                "TopK",
                [1.0, 3.0, 2.0],
                [6.0, 2.5, 7.0],
                **{"weighting.form.temperature": [5.0, 2.0, 5.0], "strength": [0.1, 0.1, 0.3]},
            ),
            search("Variance", [6.0, math.nan, 7.0], [0.5, math.nan, 0.25], strength=[0.1, 0.3, 1.0]),
        ]
    )


@pytest.fixture
def figure(points) -> Figure:
    return etw_forms.draw(points, METHODS, REFERENCE, benchmark=TOFU)


@pytest.fixture
def crowd() -> pd.DataFrame:
    """Plain ascent and 16 forms, with long names, of which some points have collapsed and some are undefined."""
    tables = [search("GradDiff", [1.0, 2.0, 9.0], [5.0, 4.0, 1.0], strength=[0.1, 0.3, 1.0])]
    for i in range(16):
        swept = {"weighting.form.temperature": [1.0, 1.0, 3.0, 3.0], "strength": [0.3, 1.0, 0.3, 1.0]}
        losses = [0.5, 2.0, 5.0, 59.0 if i % 4 == 0 else 9.0]
        tables.append(search(f"Raw entropy {i}", losses, [9.0, 5.0, 150.0 if i == 3 else 3.0, math.nan], **swept))
    tables[1].loc[3, "neg_log10_fq"] = 80.0
    return pd.concat(tables)


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.findobj(Text) if text.get_text()]


def panel(figure: Figure, method: str):
    (axes,) = [axes for axes in figure.axes if axes.get_title().rpartition(" (")[0] == method]
    return axes


def plotted(axes, label: str) -> list:
    return [line for line in axes.lines if line.get_label() == label]


def drawn(axes, label: str) -> list[list]:
    return [line.get_xydata().tolist() for line in plotted(axes, label)]


def dashes(line) -> tuple:
    """The pattern that is drawn, in points; matplotlib tells no more than that a line has one."""
    offset, pattern = line._dash_pattern
    return offset, pattern and tuple(pattern)


def legend_entries(figure: Figure) -> dict[str, Line2D]:
    legend = figure.legends[0]
    names = [text.get_text() for text in legend.get_texts()]
    return dict(zip(names, legend.legend_handles, strict=True))


def test_each_method_has_a_panel_with_its_name_and_number_of_points(figure):
    assert [axes.get_title() for axes in figure.axes] == [
        "ETW (4)",
        "TopK (3)",
        "Variance (3)",
    ]  # others were not searched
    for axes in figure.axes:
        method = axes.get_title().rpartition(" (")[0]
        assert plotted(axes, method)
        assert not {line.get_label() for line in axes.lines} & ({"ETW", "TopK", "Variance"} - {method})
        assert axes.get_xlim() == figure.axes[0].get_xlim()
        assert axes.get_ylim() == figure.axes[0].get_ylim()


def test_panels_stand_in_even_rows_of_at_most_four(crowd):
    for count, columns in ((1, 1), (4, 4), (5, 3), (9, 3), (16, 4)):
        methods = list(dict.fromkeys(crowd["method"]))[: count + 1]
        figure = etw_forms.draw(crowd[crowd["method"].isin(methods)], methods, REFERENCE, benchmark=TOFU)
        assert len(figure.axes) == count
        places = [axes.get_subplotspec() for axes in figure.axes]
        assert max(place.colspan.stop for place in places) == columns
        # Utilities stand under the lowest panel of each column.
        lowest = {place.colspan.start: i for i, place in enumerate(places)}
        for i, axes in enumerate(figure.axes):
            labelled = any(label.get_visible() and label.get_text() for label in axes.get_xticklabels())
            assert labelled == (i in lowest.values())


def test_a_line_goes_through_the_points_in_the_order_of_the_last_key(figure):
    axes = panel(figure, "ETW")
    first, second = drawn(axes, "ETW")  # one for each temperature
    np.testing.assert_allclose(first, [[0.6025, 3.5], [0.595, 3]])
    np.testing.assert_allclose(second, [[0.57, 2], [0.56, 1]])
    assert {to_hex(line.get_color()).upper() for line in plotted(axes, "ETW")} == {style.colour("ETW")}
    variance = panel(figure, "Variance")
    assert {to_hex(line.get_color()) for line in plotted(variance, "Variance")} == {
        style.colour("Variance", METHODS).lower()
    }


def test_plain_ascent_is_a_thin_grey_line_in_all_panels(figure):
    for axes in figure.axes:
        assert drawn(axes, "GradDiff") == [[[0.59, 5], [0.58, 4], [0.51, 1]]]
        (line,) = plotted(axes, "GradDiff")
        method = axes.get_title().rpartition(" (")[0]
        assert line.get_linewidth() < min(own.get_linewidth() for own in plotted(axes, method))
        assert line.get_zorder() < min(own.get_zorder() for own in plotted(axes, method))
        red, green, blue = to_rgb(line.get_color())
        assert red == green == blue
    assert legend_entries(figure)["GradDiff (3)"].get_color() == line.get_color()


def test_a_reference_of_two_searches_and_their_undefined_points(points):
    lost = search("GA", [1.0, math.nan], [2.0, math.nan], strength=[0.1, 0.3])
    figure = etw_forms.draw(pd.concat([points, lost]), METHODS, ["GradDiff", "GA"], benchmark=TOFU)
    assert len(figure.axes) == 3
    assert all(len(drawn(axes, name)) == 1 for axes in figure.axes for name in ("GA", "GradDiff"))
    assert next(iter(legend_entries(figure))) == "GradDiff (3), GA (1 of 2 undefined)"


def test_plain_ascent_alone_has_a_panel_in_its_colour(points):
    figure = etw_forms.draw(points[points["method"] == "GradDiff"], METHODS, REFERENCE, benchmark=TOFU)
    (axes,) = figure.axes
    assert axes.get_title() == "GradDiff (3)"
    (line,) = plotted(axes, "GradDiff")
    assert to_hex(line.get_color()).upper() == style.colour("GradDiff")
    assert len(plotted(axes, "_tried GradDiff")) == 3
    assert list(legend_entries(figure)) == ["chosen", "p = 0.05", "utility of the full model"]


def test_a_study_without_plain_ascent_has_no_grey_line(points):
    figure = etw_forms.draw(points[points["method"] != "GradDiff"], METHODS, [], benchmark=TOFU)
    assert len(figure.axes) == 3
    assert next(iter(legend_entries(figure))) == "temperature = 1"


def test_a_combination_of_other_keys_has_the_same_dashes_in_all_panels_and_in_the_legend(figure):
    one, two = map(dashes, plotted(panel(figure, "ETW"), "ETW"))  # temperatures 1 and 2
    five, again = map(dashes, plotted(panel(figure, "TopK"), "TopK"))  # temperatures 5 and 2, another key's
    assert len({one, two, five}) == 3
    assert again == two
    (plain,) = map(dashes, plotted(panel(figure, "Variance"), "Variance"))
    assert plain == (0, None)  # solid, as there is no other key
    entries = legend_entries(figure)
    assert list(entries) == [
        "GradDiff (3)",
        *("temperature = 1", "temperature = 2", "temperature = 5"),
        *("chosen", "p = 0.05", "utility of the full model"),
    ]
    named = [dashes(entries[f"temperature = {value}"]) for value in (1, 2, 5)]
    assert named == [one, two, five]
    assert "lines: over strength" in figure.legends[0].get_title().get_text()


def test_what_combinations_are_called():
    def named(**swept) -> str:
        return etw_forms.combination(json.dumps(swept))

    assert named(strength=0.1) == ""
    assert named(**{"weighting.temperature": 1.0, "strength": 0.1}) == "temperature = 1"
    assert named(**{"weighting.form.k": 10, "training.learning_rate": 1e-5, "strength": 1}) == (
        "k = 10, learning_rate = 1e-05"
    )
    assert named(**{"weighting.normalise": True, "strength": 1}) == "normalise = True"
    assert named(**{"weighting.form": "margin", "strength": 1}) == "form = margin"
    both = {"weighting.temperature": 2.0, "objective.temperature": 0.5, "strength": 1}
    assert named(**both) == "weighting.temperature = 2, objective.temperature = 0.5"


def test_combinations_are_in_ascending_order_until_dashes_run_out():
    def of(values: list) -> list[str]:
        swept = {"weighting.temperature": values, "strength": [1.0] * len(values)}
        return list(etw_forms.line_styles(search("ETW", [1.0] * len(values), [1.0] * len(values), **swept)))

    assert of([10.0, 2.0, 0.5]) == ["temperature = 0.5", "temperature = 2", "temperature = 10"]
    assert of(["b", 1.0, "a"]) == ["temperature = 1", "temperature = a", "temperature = b"]
    most = len(etw_forms.DASHES)
    assert len(of(list(range(most)))) == most
    assert of(list(range(most + 1))) == []


def test_more_combinations_than_dashes_are_solid_and_not_named():
    count = len(etw_forms.DASHES) + 1
    swept = {"weighting.temperature": list(range(count)), "strength": [1.0] * count}
    figure = etw_forms.draw(search("ETW", [1.0] * count, [2.0] * count, **swept), METHODS, REFERENCE, benchmark=TOFU)
    assert {dashes(line) for line in plotted(figure.axes[0], "ETW")} == {(0, None)}
    assert list(legend_entries(figure)) == ["chosen", "p = 0.05", "utility of the full model"]
    title = figure.legends[0].get_title().get_text()
    assert "one for each combination of the other keys" in " ".join(title.split())


def test_numbers_are_in_order_and_names_as_they_are_written():
    numbers = search("ETW", [1, 2, 3], [1, 2, 3], strength=[10.0, 0.5, 2])
    assert [line["delta_mu"].tolist() for line in etw_forms.lines(numbers)] == [[2, 3, 1]]
    names = search("ETW", [1, 2, 3], [1, 2, 3], **{"weighting.form": ["b", "c", "a"]})
    assert [line["delta_mu"].tolist() for line in etw_forms.lines(names)] == [[1, 2, 3]]


def test_undefined_points_break_the_line_and_are_counted_above_their_panel(figure):
    axes = panel(figure, "Variance")
    (line,) = drawn(axes, "Variance")
    assert np.isnan(line[1]).all()
    assert not np.isnan(line[0]).any()
    assert "1 of 3 undefined" in texts(axes)
    assert not any("undefined" in text for text in texts(panel(figure, "ETW")))


def test_every_point_is_a_hollow_mark_and_the_chosen_one_has_a_dot(figure):
    axes = panel(figure, "ETW")
    marks = plotted(axes, "_tried ETW")
    assert len(marks) == 4
    assert {line.get_markerfacecolor() for line in marks} == {"none"}
    np.testing.assert_allclose(drawn(axes, "_chosen ETW"), [[[0.6025, 3.5]]])
    assert drawn(panel(figure, "Variance"), "_chosen Variance") == []  # undefined
    assert not any(plotted(other, "_tried ETW") for other in figure.axes if other is not axes)


def test_the_full_models_utility_and_the_five_per_cent_line_are_drawn(figure):
    for axes in figure.axes:
        (full,) = plotted(axes, "full")
        assert full.get_xdata() == pytest.approx([0.6, 0.6])
        (level,) = plotted(axes, "p = 0.05")
        assert level.get_ydata() == pytest.approx([TOFU.headline.passed[0]] * 2)
        assert level.is_dashed()


def test_a_few_collapsed_points_do_not_ruin_the_range(crowd):
    figure = etw_forms.draw(crowd, list(dict.fromkeys(crowd["method"])), REFERENCE, benchmark=TOFU)
    assert "compressed left of the dotted line" in figure.get_supxlabel()
    for axes in figure.axes:
        assert axes.get_yscale() == "symlog"
        across = axes.transData.transform([(0.51, 1), (0.6, 1)])[:, 0] - axes.bbox.x0
        assert (across[1] - across[0]) / axes.bbox.width > 0.4  # where all but the collapsed are; 0.15 in proportion
        assert plotted(axes, "_bend")
        assert len(_labels(axes.xaxis)) <= 4
        assert len(_labels(axes.yaxis)) <= 5


def test_what_a_budget_of_utility_buys(points):
    table = etw_forms.cheapest(points, TOFU).set_index("method")
    assert list(table) == [
        *("model", "split", "points", "undefined"),
        *("neg_log10_fq_within_1", "neg_log10_fq_within_2", "neg_log10_fq_within_5"),
    ]
    assert table["points"].to_dict() == {"GradDiff": 3, "ETW": 4, "TopK": 3, "Variance": 3}
    assert table["undefined"].to_dict() == {"GradDiff": 0, "ETW": 0, "TopK": 0, "Variance": 1}
    budgets = table.filter(like="within").to_numpy()
    np.testing.assert_array_equal(budgets, [[5, 4, 4], [3, 3, 1], [6, 6, 2.5], [np.nan] * 3])


def test_a_column_that_is_missing_is_named(points):
    with pytest.raises(InputError, match="parameters"):
        etw_forms.draw(points.drop(columns="parameters"), METHODS, REFERENCE, benchmark=TOFU)
    with pytest.raises(InputError, match="delta_mu"):
        etw_forms.cheapest(points.drop(columns="delta_mu"), TOFU)


@pytest.mark.filterwarnings("error")
def test_page_width_readable_text_and_nothing_cut_off(points, crowd, fits_page):
    lone = points[points["method"].isin(["GradDiff", "ETW"])]
    undefined = points.assign(neg_log10_fq=np.nan)
    nothing = undefined.assign(model_utility=np.nan, delta_mu=np.nan)
    for table in (points, lone, crowd, undefined, nothing):
        figure = etw_forms.draw(table, [*METHODS, *(f"Raw entropy {i}" for i in range(16))], REFERENCE, benchmark=TOFU)
        fits_page(figure)
        _do_not_overlap(figure)
    assert [axes.get_title() for axes in figure.axes] == ["ETW (4)", "TopK (3)", "Variance (3)"]
    assert "3 of 3 undefined" in texts(panel(figure, "TopK"))
    assert not any(plotted(axes, "full") for axes in figure.axes)


def _do_not_overlap(figure: Figure) -> None:
    """Titles of all panels, utilities under all panels, and −log10 FQ beside each."""
    titles = [axes.title for axes in figure.axes]
    below = [text for axes in figure.axes for text in _labels(axes.xaxis)]
    beside = [_labels(axes.yaxis) for axes in figure.axes]
    for texts in (titles, below, *beside):
        boxes = [text.get_window_extent() for text in texts]
        assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def _labels(axis) -> list[Text]:
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [tick.label1 for tick in ticks if tick.label1.get_visible() and tick.label1.get_text()]
