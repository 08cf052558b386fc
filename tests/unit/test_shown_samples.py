"""Which samples are shown: those that the config names, split by split."""

import pandas as pd
import pytest

from lethe.benchmarks.contract import Data, Row, Split
from lethe.errors import InputError
from lethe.tokens.shown_samples import check_wanted, chosen_samples, present_samples

GROUPS = {"a1": "A", "a2": "A", "b1": "B", "b2": "B"}


def table(*samples: str) -> pd.DataFrame:
    return pd.DataFrame({"sample": [sample for sample in samples for _ in range(3)]})


def test_a_split_shows_the_wanted_samples_that_it_has_in_the_order_wanted():
    assert chosen_samples(table("a1", "a2", "b1"), ["b1", "elsewhere", "a2"], GROUPS) == ["b1", "a2"]
    assert present_samples(table("a1"), ["b1", "a2"]) == []


def test_a_split_without_any_wanted_sample_shows_its_own_first():
    assert chosen_samples(table("a1", "a2", "b1"), ["elsewhere"], GROUPS) == ["a1", "b1"]
    assert chosen_samples(table("b2", "a1"), [], GROUPS) == ["b2", "a1"]


DATA = Data(
    "tofu",
    tuple(Row(name, "A", "A", "Q") for name in ("first", "second", "kept")),
    (),
    {"forget01": Split(("first",), ("second", "kept"), {}), "forget10": Split(("first", "second"), ("kept",), {})},
)


def test_names_may_be_of_any_forget_split():
    check_wanted(["second", "first"], DATA)
    check_wanted([], DATA)


@pytest.mark.parametrize("name", ["full-9999", "kept", "fresh"])
def test_a_name_in_no_forget_split_is_an_error_that_names_it_and_the_key(name):
    with pytest.raises(InputError, match=rf"figures\.samples: \['{name}'\].* such as first"):
        check_wanted(["first", name], DATA)
