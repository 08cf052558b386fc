"""What a study searched is read from its files, resolved, and told in every table that reports it."""

import pytest

from lethe.config import MethodConfig
from lethe.evaluation.chosen import notes, read_chosen, resolved
from lethe.io import write_json
from lethe.selection import RULES

GA = {"weighting": "uniform", "objective": "ascent", "retain": "nll"}


def choice(temperature: float) -> dict:
    method = {"weighting": {"entropy": {"temperature": temperature}}, "objective": "ascent", "retain": "nll"}
    return {
        "point": f"temperature={temperature}",
        "rule": "lowest_aggregate",
        "seed": 1000,
        "why": "",
        "method": method,
    }


@pytest.fixture
def chosen(tmp_path):
    paths = []
    for split, temperature in (("forget10", 2.0), ("forget05", 3.0)):
        paths.append(tmp_path / "search" / "m" / split / "ETW" / "chosen.json")
        write_json(paths[-1], choice(temperature))
    return read_chosen(paths)


def test_places_and_methods_are_those_of_the_paths(chosen):
    assert list(chosen) == [("m", "forget10"), ("m", "forget05")]
    assert chosen["m", "forget05"]["ETW"]["point"] == "temperature=3.0"
    assert read_chosen([]) == {}


def test_a_swept_method_is_what_its_search_chose_there(chosen):
    found = resolved({"GA": GA, "ETW": None}, chosen["m", "forget05"])
    assert list(found) == ["GA", "ETW"]
    assert found["GA"] == MethodConfig(**GA)
    assert found["ETW"].weighting.temperature == 3.0
    assert resolved({"GA": GA}, {}) == {"GA": MethodConfig(**GA)}


def test_the_notes_name_seed_rule_methods_and_points(chosen):
    how, what = notes(chosen, {"GA": 1, "ETW": 4, "NPO": 1})
    assert how.startswith("Tuned: ETW (4 configurations). As configured, without a search: GA, NPO.")
    assert "seed 1000, which is not among the seeds reported" in how
    assert "lowest_aggregate" in how
    assert RULES["lowest_aggregate"].__doc__.splitlines()[0] in how
    assert what == "Chosen: m, forget10: ETW temperature=2.0; m, forget05: ETW temperature=3.0."
    assert "As configured" not in notes(chosen, {"ETW": 4})[0]


def test_without_a_search_there_is_nothing_to_tell():
    assert notes({}, {"GA": 1}) == ()
