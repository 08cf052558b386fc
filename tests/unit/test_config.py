"""The shipped studies are valid, the schema is current, and every error names the key and the fix."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from lethe import config
from lethe.errors import ConfigError
from lethe.objectives import OBJECTIVES
from lethe.retain import RETAIN_TERMS
from lethe.weightings import WEIGHTINGS

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = [ROOT / "config.yaml", *sorted((ROOT / "config").glob("*.yaml"))]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.json"

MINIMAL = {
    "study": "small",
    "benchmark": {"name": "fictional"},
    "models": {"tiny": {"source": "scratch"}},
    "methods": {
        "GA": {"weighting": "uniform", "objective": "ascent", "retain": "none"},
        "ETW": {"weighting": {"entropy": {"temperature": 2}}, "objective": "ascent", "retain": "nll"},
    },
}


def changed(path, value):
    """The minimal config with a value put at a dotted path."""
    raw = copy.deepcopy(MINIMAL)
    *parents, last = path.split(".")
    place = raw
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    return raw


# --- shipped files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_config_is_valid(path):
    study = config.load_file(path)
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), json.loads(config.json_schema()))
    assert study.methods
    for name in study.methods:
        study.training(name)


def test_shipped_studies_have_names_of_their_own():
    """Two studies of one name would write into each other's results."""
    names = [config.load_file(path).study for path in SHIPPED]
    assert len(set(names)) == len(names) > 1


def test_default_config_is_the_first():
    assert SHIPPED[0].is_file()
    assert config.load_file(SHIPPED[0]).benchmark.name == "fictional", "the default study must need no download"


# --- schema -----------------------------------------------------------------------------------------------


def test_schema_file_is_current():
    assert SCHEMA.is_file(), f"{SCHEMA} is missing; run: make schema"
    current = SCHEMA.read_text(encoding="utf-8") == config.json_schema()
    assert current, f"{SCHEMA} is out of date; run: python -m lethe.config schema > {SCHEMA.relative_to(ROOT)}"


def test_schema_is_a_schema_and_takes_the_minimal_config():
    schema = json.loads(config.json_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(MINIMAL, schema)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("benchmarks", {}),
        ("finetune.epoch", 3),
        ("finetune.epochs", "many"),
        ("methods.ETW.weighting", "entropi"),
        ("methods.ETW.weighting", {"entropy": {"temprature": 2}}),
        ("methods.ETW.weighting", {"entropy": {}, "uniform": {}}),
        ("models.tiny.hiden_size", 3),
        ("splits", ["forget1"]),
    ],
)
def test_schema_refuses_what_the_classes_refuse(path, value):
    raw = changed(path, value)
    with pytest.raises(ConfigError):
        config.load(raw)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(raw, json.loads(config.json_schema()))


def classes(annotation):
    """Models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (list, tuple, dict, set, Union, UnionType, Annotated):
        for part in get_args(annotation):
            yield from classes(part)


def all_models():
    """Every class of the config, found by following the fields from `Study`, and every part of a method."""
    found, waiting = [], [config.Study]
    for registry in (WEIGHTINGS, OBJECTIVES, RETAIN_TERMS):
        waiting += registry.values()
    while waiting:
        model = waiting.pop()
        if model not in found:
            found.append(model)
            for field in model.model_fields.values():
                waiting += classes(field.annotation)
    return found


def test_the_walk_finds_all_sections():
    assert set(config.Section.__subclasses__()) <= set(all_models())


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.__name__)
def test_every_field_has_a_description(model):
    said_by_their_names = {"name", "source"}  # discriminators: the class says what they choose
    if model is config.ScratchConfig:
        said_by_their_names |= {"hidden_size", "layers", "heads"}
    bare = [name for name, field in model.model_fields.items() if not field.description]
    assert set(bare) <= said_by_their_names, f"{model.__name__}: describe {set(bare) - said_by_their_names}"


def property_names(schema):
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "properties":
                yield from value
            yield from property_names(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from property_names(value)


def test_config_is_science_and_resources_are_not():
    names = set(property_names(json.loads(config.json_schema())))
    assert {"learning_rate", "temperature", "beta"} <= names, "the walk does not reach the leaves"
    machines = {"thread", "threads", "core", "cores", "cpu", "cpus", "gpu", "gpus", "mem", "memory", "mb"}
    scheduling = {"runtime", "partition", "retries", "jobs", "slurm"}
    assert not {name for name in names if set(name.lower().split("_")) & (machines | scheduling)}


# --- errors -----------------------------------------------------------------------------------------------


def error(raw):
    with pytest.raises(ConfigError) as caught:
        config.load(raw)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        pytest.param("benchmarks", {}, ["benchmarks", "did you mean 'benchmark'?", "remove"], id="unknown key"),
        pytest.param("finetune.epoch", 3, ["finetune.epoch", "did you mean 'epochs'?"], id="unknown key in a section"),
        pytest.param("evaluation.qqq", 3, ["evaluation.qqq", "known: precision"], id="unknown key like no other"),
        pytest.param(
            "benchmark.autors", 9, ["benchmark", "autors", "remove it or correct"], id="unknown key in a union"
        ),
        pytest.param(
            "methods.ETW.weighting",
            "entropi",
            ["methods.ETW.weighting", "did you mean 'entropy'?", "known: uniform"],
            id="unknown weighting",
        ),
        pytest.param(
            "methods.ETW.objective",
            "ascend",
            ["methods.ETW.objective", "did you mean 'ascent'?"],
            id="unknown objective",
        ),
        pytest.param("methods.ETW.retain", "nil", ["methods.ETW.retain", "did you mean 'nll'?"], id="unknown retain"),
        pytest.param(
            "methods.ETW.weighting",
            {"entropy": {"temprature": 1}},
            ["methods.ETW.weighting.temprature", "unknown key"],
            id="unknown hyper-parameter",
        ),
        pytest.param(
            "methods.ETW.weighting",
            {"entropy": {"temperature": 0}},
            ["methods.ETW.weighting.temperature", "greater than 0", "found 0"],
            id="hyper-parameter out of range",
        ),
        pytest.param(
            "methods.ETW.weighting",
            {"entropy": {}, "spans": {}},
            ["methods.ETW.weighting", "write the weighting as"],
            id="two weightings",
        ),
        pytest.param("finetune.epochs", "many", ["finetune.epochs", "integer", "found 'many'"], id="wrong type"),
        pytest.param(
            "methods.ETW.training",
            {"learning_rat": 1},
            ["methods.ETW.training", "learning_rat", "did you mean 'learning_rate'?"],
            id="override of an unknown key",
        ),
        pytest.param(
            "methods.ETW.training",
            {"batch_size": 0},
            ["methods.ETW.training", "batch_size", "greater than or equal to 1", "found 0"],
            id="override out of range",
        ),
        pytest.param(
            "methods.ETW.weighting",
            {"spans": {"label": "gpt"}},
            ["methods.ETW.weighting", "'gpt'", "`labels`", "gold"],
            id="method's label is no source",
        ),
        pytest.param("figures.label", "gpt", ["figures.label", "'gpt'", "`labels`", "gold"], id="figure's label"),
        pytest.param("seeds", [0, 1, 0], ["seeds", "[0, 1, 0]", "twice"], id="seed twice"),
        pytest.param("splits", ["forget10"] * 2, ["splits", "forget10", "twice"], id="split twice"),
        pytest.param("splits", ["retain90"], ["splits.0", "forget", "found 'retain90'"], id="no forget split"),
        pytest.param("study", "a/b", ["study", "found 'a/b'"], id="name that is a path"),
        pytest.param(
            "benchmark",
            {"name": "tofu"},
            ["models.tiny.source", "TOFU", "`world`", "hub, folder or gguf"],
            id="scratch on TOFU",
        ),
        pytest.param("benchmark", {"name": "tofoo"}, ["benchmark", "'tofoo'", "'tofu'"], id="unknown benchmark"),
        pytest.param("models.tiny", {"source": "hugs"}, ["models.tiny", "'hugs'", "'hub'"], id="unknown source"),
        pytest.param("methods.full", MINIMAL["methods"]["GA"], ["methods.full", "taken", "another"], id="method full"),
        pytest.param("methods.retain", MINIMAL["methods"]["GA"], ["methods.retain", "taken"], id="method retain"),
        pytest.param(
            "methods.NPO", {"weighting": "uniform"}, ["methods.NPO.objective", "missing; add it"], id="missing"
        ),
        pytest.param("evaluation.limits", {"retian": 3}, ["evaluation.limits", "retian", "'retain'"], id="limit"),
    ],
)
def test_error_names_the_key_and_the_fix(path, value, parts):
    message = error(changed(path, value))
    assert not [part for part in parts if part not in message], message
    assert "pydantic" not in message


def test_all_errors_are_told_at_once():
    raw = changed("finetune.epochs", 0)
    raw["seed"] = "zero"
    del raw["study"]
    message = error(raw)
    assert [line.split(":")[0].strip() for line in message.splitlines()[1:]] == ["study", "seed", "finetune.epochs"]


@pytest.mark.parametrize(
    ("text", "part"), [("study: [", "not valid YAML"), ("- a\n- b\n", "found list"), ("", "found NoneType")]
)
def test_file_that_is_no_config_is_named(tmp_path, text, part):
    (tmp_path / "broken.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"broken\.yaml.*{part}"):
        config.load_file(tmp_path / "broken.yaml")


# --- values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_resolved_config_is_a_config(path):
    study = config.load_file(path)
    resolved = json.loads(json.dumps(study.model_dump(mode="json")))
    assert config.load(resolved) == study
    assert config.load(resolved).model_dump(mode="json") == resolved


def test_parts_are_written_by_name_or_with_hyper_parameters():
    study = config.load(MINIMAL)
    assert study.methods["GA"].weighting == WEIGHTINGS["uniform"]()
    assert study.methods["ETW"].weighting == WEIGHTINGS["entropy"](temperature=2.0)
    assert config.load(changed("methods.ETW.weighting", {"entropy": None})) == config.load(
        changed("methods.ETW.weighting", "entropy")
    )


def test_gold_is_the_label_source_that_is_always_there():
    assert config.load(MINIMAL).labels == {"gold": config.GoldLabels(source="gold")}


def test_method_overrides_training_and_inherits_the_rest():
    raw = changed("methods.ETW.training", {"learning_rate": 0.5, "epochs": 2})
    raw["unlearn"] = {"epochs": 7, "batch_size": 3}
    study = config.load(raw)
    assert (study.training("GA").epochs, study.training("GA").batch_size) == (7, 3)
    etw = study.training("ETW")
    assert (etw.epochs, etw.batch_size, etw.learning_rate) == (2, 3, 0.5)
    assert study.training("GA").learning_rate == 1e-5


def test_temperatures_are_those_asked_for_and_those_needed():
    assert config.load(MINIMAL).all_temperatures() == [1.0, 2.0]
    assert config.load(changed("temperatures", [5, 0.5, 2.0])).all_temperatures() == [0.5, 1.0, 2.0, 5.0]
    assert config.load(changed("temperatures", [])).all_temperatures() == [1.0, 2.0]


def test_config_cannot_be_changed_afterwards():
    study = config.load(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        study.seed = 3


def test_command_line_checks_files_and_prints_the_schema():
    command = [sys.executable, "-m", "lethe.config"]
    checked = subprocess.run([*command, "check", SHIPPED[0]], capture_output=True, text=True, check=True)
    assert "study 'fictional' is valid" in checked.stdout
    printed = subprocess.run([*command, "schema"], capture_output=True, text=True, check=True)
    assert printed.stdout == config.json_schema()
