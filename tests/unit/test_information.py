"""The table of information sources says what the classes say."""

import pytest

from lethe.config import MethodConfig
from lethe.objectives import OBJECTIVES
from lethe.tables.information import SOURCES, information_table, layout
from lethe.tables.render import escape_latex
from lethe.weightings import WEIGHTINGS


def method(weighting="uniform", objective="ascent", retain="nll", **more) -> MethodConfig:
    return MethodConfig(weighting=weighting, objective=objective, retain=retain, **more)


@pytest.fixture
def table():
    return information_table(
        {
            "GA": method(retain="none"),
            "WGA": method("confidence"),
            "TNPO": method("tnpo"),
            "NPO": method(objective="npo", retain="kl"),
            "UNDIAL": method(objective="undial"),
            "SCN": method("spacy_nouns"),
            "ETW": method({"entropy": {"temperature": 2.0}}),
            "top": method({"spread": {"form": {"top_k_entropy": {"k": 10, "temperature": 1.5}}}}),
            "MI": method("mutual_information"),
            "Oracle": method("spans"),
        }
    ).set_index("method")


def test_sources_are_those_of_the_papers_table(table):
    found = {name: [source for source in SOURCES if row[source]] for name, row in table.iterrows()}
    assert found == {
        "GA": [],
        "WGA": ["gold-token confidence"],
        "TNPO": ["gold-token confidence", "reference model"],
        "NPO": [],
        "UNDIAL": [],
        "SCN": ["parser"],
        "ETW": ["predictive distribution"],
        "top": ["predictive distribution"],
        "MI": ["predictive distribution"],
        "Oracle": ["ground truth"],
    }


def test_the_loss_says_itself_what_it_looks_at(table):
    loss = table["loss"]
    # NPO has confidence (of the whole sequence) and the reference model
    whole = "objective: confidence of the whole sequence, reference model"
    assert loss["NPO"] == f"{whole}; retain term: reference model"
    assert loss["UNDIAL"] == "objective: predictive distribution, reference model"
    assert loss[["GA", "ETW", "TNPO"]].isna().all()
    assert "loss" in layout().columns


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_that_reads_the_starting_model_says_so(name):
    cls = OBJECTIVES[name]
    assert set(cls.information) <= {*SOURCES, "none"}
    assert (cls.reference or cls.teacher) == ("reference model" in cls.information)


def test_definitions(table):
    assert table.loc["ETW", ["vocabulary", "temperature"]].tolist() == ["full", "2"]
    assert table.loc["top", ["vocabulary", "temperature"]].tolist() == ["top 10", "1.5"]
    assert table.loc["MI", ["vocabulary", "temperature"]].tolist() == ["full", "1"]
    assert table.loc[["GA", "WGA", "SCN"], ["vocabulary", "temperature"]].isna().all(axis=None)
    assert table.loc["ETW", "position"] == table.loc["WGA", "position"] == "prediction of the token"
    assert table.loc["SCN", "position"] == table.loc["Oracle", "position"] == "the token itself"
    assert "eos" not in table  # the same for all
    assert table.loc["ETW", "formula"].startswith("ω = n · H / Σ H")


def test_a_sweep_shows_all_its_values():
    swept = method("entropy", sweep={"weighting.temperature": [0.5, 2.0], "strength": [0.1, 1.0]})
    row = information_table({"ETW": swept}).iloc[0]
    assert row["temperature"] == "0.5, 2"
    assert row["vocabulary"] == "full"


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_every_weighting_fits_the_table(name):
    cls = WEIGHTINGS[name]
    assert set(cls.information) <= {*SOURCES, "none"}
    assert escape_latex(cls.__doc__.strip().splitlines()[0]).isascii()  # else: a sign for lethe.tables.render.SIGNS


def test_the_layout_fits_the_table(table):
    assert set(layout().columns) <= set(table.reset_index())


def test_every_weighting_is_pinned_to_its_sources():
    """The table is read off these declarations, so nothing else would notice a wrong one."""
    predicted = ("predictive distribution",)
    assert {name: weighting.information for name, weighting in WEIGHTINGS.items()} == {
        **dict.fromkeys(["uniform", "random"], ("none",)),
        **dict.fromkeys(["confidence", "importance", "satimp"], ("gold-token confidence",)),
        **dict.fromkeys(["tnpo", "wtnpo"], ("gold-token confidence", "reference model")),
        **dict.fromkeys(["entropy", "raw_entropy", "spread", "raw_spread", "mutual_information"], predicted),
        **dict.fromkeys(["spacy_nouns", "spacy_entities"], ("parser",)),
        "spans": ("ground truth",),
    }
