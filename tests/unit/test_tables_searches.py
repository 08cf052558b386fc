"""The search's table names its rule and keeps its seed apart from the reported ones."""

import pytest

from lethe.benchmarks.tofu import Tofu
from lethe.selection import RULES
from lethe.tables.searches import layout


@pytest.mark.parametrize("rule", RULES)
def test_rule_and_seeds_stand_in_the_note(rule):
    (note,) = layout(rule, 1000, [0, 1, 2], Tofu()).notes
    assert rule in note
    assert RULES[rule].__doc__.splitlines()[0] in note
    assert "seed 1000" in note
    assert "seeds 0, 1, 2" in note


def test_columns_are_the_point_and_the_main_metrics():
    assert list(layout("lowest_aggregate", 1000, [0], Tofu()).columns) == [
        *("model", "split", "method", "point", "chosen"),
        *Tofu().main,
    ]
