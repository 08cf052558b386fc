"""The tables of config/README.md: complete, rendered rightly, and up to date."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from lethe.benchmarks.fictional import FictionalConfig
from lethe.config import Section, Study
from lethe.config.docs import BEGIN, END, sections, tables, updated
from lethe.errors import InputError
from lethe.methods.forms import FORMS
from lethe.objectives import OBJECTIVES
from lethe.retain import RETAIN_TERMS
from lethe.weightings import WEIGHTINGS

README = Path(__file__).resolve().parents[2] / "config" / "README.md"


def rows(text: str, heading: str) -> dict[str, list[str]]:
    """Key -> the other cells of its row, of the table under a heading."""
    block = text.split(f"### {heading}\n", 1)[1].split("\n### ", 1)[0]
    cells = [line.strip("| ").split(" | ") for line in block.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_readme_is_up_to_date():
    text = README.read_text(encoding="utf-8")
    assert updated(text) == text, "run: python -m lethe.config.docs config/README.md"


def test_rewriting_touches_nothing_but_the_block_and_settles_at_once():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    new = updated(page)
    assert new.startswith(f"before\n{BEGIN}\n")
    assert new.endswith(f"{END}\nafter\n")
    assert "\nold\n" not in new
    assert updated(new) == new


@pytest.mark.parametrize("page", ["no marker", f"{BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_a_page_without_markers_is_refused(page):
    with pytest.raises(InputError, match="put the lines"):
        updated(page)


def test_every_section_and_every_key_is_there():
    found = sections()
    assert {cls.__name__ for cls in found} == {"Study", *Study.model_json_schema()["$defs"]}
    assert {
        cls for cls in Section.__subclasses__() if cls.__module__.startswith(("lethe.config.", "lethe.benchmarks."))
    } == set(found)
    text = tables()
    for cls in found:
        for key in cls.model_fields:
            assert f"| `{key}` | " in text, f"{cls.__name__}.{key}"


def test_places_of_sections():
    names = {cls.__name__: places for cls, places in sections().items()}
    assert names["Study"] == []
    assert names["TofuConfig"] == ["benchmark"]
    assert names["SpanFileLabels"] == ["labels.<name>"]
    assert set(names["TrainingConfig"]) == {"finetune", "unlearn", "models.<name>.training"}
    assert set(names["LoraConfig"]) == {"finetune.lora", "unlearn.lora", "models.<name>.training.lora"}
    assert names["CheckpointConfig"] == ["models.<name>.full", "models.<name>.retain.<name>"]
    assert names["EmbeddingNoiseConfig"] == ["embedding_noise"]


def test_type_default_and_meaning_of_known_keys():
    text = tables()
    top = rows(text, "Top level")
    assert top["study"][1] == "required"
    assert top["seeds"][:2] == ["non-empty list, each: integer ≥ 0", "`[0]`"]
    assert top["models"][0] == "non-empty map of names, each: section, chosen by its `source`"
    fictional = rows(text, "`benchmark` with `name: fictional`")
    assert fictional["facts"][:2] == ["integer ≥ 2, ≤ 12", "`10`"]
    assert fictional["facts"][2] == FictionalConfig.model_fields["facts"].description
    evaluation = rows(text, "`evaluate`")
    assert evaluation["min_k"][:2] == ["number > 0, ≤ 1", "`0.4`"]
    assert evaluation["ou_compat"][:2] == ["boolean", "`false`"]
    assert rows(text, "`benchmark` with `name: tofu`")["path"][:2] == ["text or null", "`null`"]
    assert rows(text, "`methods.<name>`")["weighting"][0] == "name or `{name: {key: value}}`"
    # A line break in a default must not break the table.
    assert rows(text, "`prompt`")["answer"][1] == r'`"\nAnswer:"`'
    # Where a section's defaults differ at one place, the difference is shown.
    scratch = rows(text, "`models.<name>` with `source: scratch`")
    assert scratch["training"][1] == "the section's, but `{epochs: 15, learning_rate: 0.002}`"


@pytest.mark.parametrize(
    ("keys", "registry"),
    [
        ("`methods.<name>.weighting`", WEIGHTINGS),
        ("`methods.<name>.objective`", OBJECTIVES),
        ("`methods.<name>.retain`", RETAIN_TERMS),
        ("`forms`, and `form` of `spread` and `raw_spread`", FORMS),
    ],
)
def test_named_parts_with_their_files_and_hyper_parameters(keys, registry):
    found = rows(tables(), f"Names for {keys}")
    root = README.parents[1]
    for name, part in registry.items():
        assert found[name][0], f"{name} has no meaning"
        assert (root / found[name][1].strip("`")).is_file()
        for parameter in part.model_fields:
            assert parameter in found


def test_parts_that_share_a_file_do_not_repeat_what_it_says():
    found = rows(tables(), "Names for `forms`, and `form` of `spread` and `raw_spread`")
    assert len({found[name][0] for name in FORMS}) == len(FORMS)
    assert "reviewers" not in found["variance"][0]
    assert "ascent (GA)" in rows(tables(), "Names for `methods.<name>.weighting`")["uniform"][0], "one in its own file"


def test_sections_that_are_optional_or_searched():
    text = tables()
    top = rows(text, "Top level")
    assert top["embedding_noise"][:2] == ["section or null", "`null`"]
    assert top["forms"][0] == "list, each: name or `{name: {key: value}}`"
    assert top["selection"][:2] == ["section", "the section's"]
    methods = rows(text, "`methods.<name>`")
    assert methods["sweep"][:2] == [
        "map of names, each: non-empty list, each: number, text, boolean or section",
        "`{}`",
    ]
    assert "rank" in rows(text, "`finetune.lora`, `unlearn.lora`, `models.<name>.training.lora`")
    assert "repository" in rows(text, "`models.<name>.full`, `models.<name>.retain.<name>`")
    assert rows(text, "`models.<name>` with `source: checkpoints`")["full"][:2] == ["section", "required"]


def test_tables_are_well_formed():
    """Each line of a table has as many cells as its heading, so no cell holds a bare bar or a line break."""
    width = None
    for line in tables().splitlines():
        if not line.startswith("|"):
            width = None
            continue
        cells = line.replace("\\|", "").count("|")
        width = width or cells
        assert cells == width, line


def test_sections_are_pydantic_models_with_a_docstring():
    for cls in sections():
        assert issubclass(cls, BaseModel)
        assert cls.__doc__, cls.__name__
