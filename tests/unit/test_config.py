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
from lethe.methods.forms import FORMS, TopKEntropy, Variance
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
    for method in study.variants().values():
        study.training_of(method)


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
        ("splits", ["forget/10"]),
        ("splits", []),
        ("forms", ["varianc"]),
        ("unlearn.lora", {"rnk": 3}),
        ("disturb", {"passes": 1}),
        ("selection.rule", "best"),
        ("measure.suite", "quick"),
        ("measure.during", {"forget": 0}),
        ("methods.ETW.sweep", {"strength": []}),
        ("methods.ETW.sweep", {"strength": 1.0}),
        ("methods.ETW.sweep", {"strength": [None]}),
        ("methods.ETW.sweep", {"strength": ["a/b"]}),
        ("models.tiny", {"source": "checkpoints", "retain": {"retain90": {"path": "there"}}}),
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
    for registry in (WEIGHTINGS, OBJECTIVES, RETAIN_TERMS, FORMS):
        waiting += registry.values()
    while waiting:
        model = waiting.pop()
        if model not in found:
            found.append(model)
            for field in model.model_fields.values():
                waiting += classes(field.annotation)
    return found


def test_the_walk_finds_all_sections():
    # Tests have benchmarks of their own, with sections that no registry holds.
    ours = {section for section in config.Section.__subclasses__() if section.__module__.startswith("lethe.")}
    assert ours <= set(all_models())


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
        pytest.param("measure.qqq", 3, ["measure.qqq", "known: precision"], id="unknown key like no other"),
        pytest.param(
            "benchmark.autors",
            9,
            ["benchmark.autors: ", "did you mean 'authors'?", "known: name, authors,"],
            id="unknown key in a union",
        ),
        pytest.param(
            "models.tiny.hiden_size",
            3,
            ["models.tiny.hiden_size: ", "did you mean 'hidden_size'?", "known: source, hidden_size,"],
            id="unknown key in a union in a map",
        ),
        pytest.param(
            "models.tiny.training.lerning_rate",
            3,
            ["models.tiny.training.lerning_rate: ", "did you mean 'learning_rate'?"],
            id="unknown key in a section in a union",
        ),
        pytest.param(
            "models.tiny.scratch",
            3,
            ["models.tiny.scratch: unknown key", "known: source, hidden_size"],
            id="unknown key that is called like an option",
        ),
        pytest.param(
            "labels.words",
            {"source": "span_file", "pth": "a"},
            ["labels.words.path: missing", "labels.words.pth: unknown key (did you mean 'path'?)"],
            id="labels",
        ),
        pytest.param(
            "models.tiny",
            {"sorce": "scratch"},
            ["models.tiny.source: missing; add it (known: scratch, hub"],
            id="no tag",
        ),
        pytest.param("unlearn.lora", {"rnk": 3}, ["unlearn.lora.rnk: ", "did you mean 'rank'?"], id="lora"),
        pytest.param(
            "unlearn.lora", {"targets": 3}, ["unlearn.lora.targets: ", "'all-linear'", "found 3"], id="targets"
        ),
        pytest.param(
            "embedding_noise",
            {"pases": 3},
            ["embedding_noise.pases: ", "did you mean 'passes'?"],
            id="optional section",
        ),
        pytest.param("disturb", {}, ["disturb: renamed to `embedding_noise`"], id="renamed"),
        pytest.param("evaluation", {"min_k": 0.2}, ["evaluation: now two sections", "`measure`"], id="divided"),
        pytest.param("compare", "Mine", ["compare: 'Mine' is not in `methods`", "GA"], id="compared with"),
        pytest.param("forms", ["varianc"], ["forms.0: ", "did you mean 'variance'?"], id="unknown form"),
        pytest.param(
            "forms",
            ["margin", {"top_k_entropy": {"kk": 3}}],
            ["forms.1.top_k_entropy.kk: ", "did you mean 'k'?"],
            id="unknown hyper-parameter of a form",
        ),
        pytest.param(
            "methods.ETW.weighting",
            "spread",
            ["methods.ETW.weighting.spread.form: missing"],
            id="missing hyper-parameter",
        ),
        pytest.param(
            "methods.ETW.weighting",
            {"spread": {"form": {"top_k_entropy": {"kk": 3}}}},
            ["methods.ETW.weighting.spread.form.top_k_entropy.kk: ", "did you mean 'k'?"],
            id="part in a part",
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
            ["methods.ETW.weighting.entropy.temprature: unknown key (did you mean 'temperature'?)"],
            id="unknown hyper-parameter",
        ),
        pytest.param(
            "methods.ETW.weighting",
            {"entropy": {"temperature": 0}},
            ["methods.ETW.weighting.entropy.temperature: ", "greater than 0", "found 0"],
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
            ["methods.ETW.training.learning_rat: ", "did you mean 'learning_rate'?"],
            id="override of an unknown key",
        ),
        pytest.param(
            "methods.ETW.training",
            {"batch_size": 0},
            ["methods.ETW.training.batch_size: ", "greater than or equal to 1", "found 0"],
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
        pytest.param(
            "finetune_temperatures", [2, 2.0], ["finetune_temperatures", "[2.0, 2.0]", "twice"], id="temperature twice"
        ),
        pytest.param(
            "splits", ["retain90"], ["splits.0", "'retain90' is no split", "like forget10"], id="no forget split"
        ),
        pytest.param("study", "a/b", ["study", "found 'a/b'"], id="name that is a path"),
        pytest.param(
            "benchmark",
            {"name": "tofu"},
            ["models.tiny.source", "'tofu'", "`world`", "hub, folder or gguf"],
            id="scratch on TOFU",
        ),
        pytest.param(
            "benchmark",
            {"name": "tofoo"},
            ["benchmark.name: 'tofoo'", "did you mean 'tofu'?", "known: fictional, tofu"],
            id="unknown benchmark",
        ),
        pytest.param(
            "models.tiny",
            {"source": "hubs"},
            ["models.tiny.source: 'hubs'", "did you mean 'hub'?"],
            id="unknown source",
        ),
        pytest.param("models.a/b", MINIMAL["models"]["tiny"], ["models.a/b: ", "pattern"], id="model's name is a path"),
        pytest.param("methods.full", MINIMAL["methods"]["GA"], ["methods.full", "taken", "another"], id="method full"),
        pytest.param("methods.retain", MINIMAL["methods"]["GA"], ["methods.retain", "taken"], id="method retain"),
        pytest.param(
            "methods.NPO", {"weighting": "uniform"}, ["methods.NPO.objective", "missing; add it"], id="missing"
        ),
        pytest.param(
            "measure.limits", {"retian": 3}, ["measure.limits.retian: ", "did you mean 'retain'?"], id="limit"
        ),
        pytest.param("measure.during", {"forget": 0}, ["measure.during.forget: ", "found 0"], id="no rows"),
        pytest.param("splits", ["forget00"], ["splits.0: ", "'forget00' is no split"], id="nothing to forget"),
    ],
)
def test_error_names_the_key_and_the_fix(path, value, parts):
    message = error(changed(path, value))
    assert not [part for part in parts if part not in message], message
    assert "pydantic" not in message


def test_gold_labels_on_tofu_are_refused_before_anything_runs():
    raw = changed("benchmark", {"name": "tofu", "path": "mine", "strict": False})
    raw["models"] = {"mine": {"source": "folder", "path": "model"}}
    with pytest.raises(ConfigError, match=r"labels\.gold.*no gold spans.*spacy.*figures\.label"):
        config.load(raw)
    raw |= {"labels": {"parser": {"source": "spacy"}}, "figures": {"label": "parser"}}
    assert config.load(raw).figures.label == "parser"


def sweep(values, method="ETW", **fields):
    return {**MINIMAL["methods"][method], "sweep": values, **fields}


RMU = {"weighting": "uniform", "objective": {"rmu": {"layer": 2}}, "retain": {"embed_diff": {"layer": 2}}}


@pytest.mark.parametrize(
    ("method", "parts"),
    [
        pytest.param(
            sweep({"weighting.temprature": [1.0]}),
            ["sweep (temprature=1.0).weighting.entropy.temprature: ", "did you mean 'temperature'?"],
            id="unknown hyper-parameter",
        ),
        pytest.param(
            sweep({"weighting.temperature": [1.0, 0]}),
            ["sweep (temperature=0).weighting.entropy.temperature: ", "greater than 0"],
            id="one value out of range",
        ),
        pytest.param(
            sweep({"training.learning_rat": [1.0]}),
            ["sweep (learning_rat=1.0).training.learning_rat: ", "did you mean 'learning_rate'?"],
            id="unknown key of training",
        ),
        pytest.param(
            sweep({"training.epochs": [3, 0]}), ["sweep (epochs=0).training.epochs: ", "found 0"], id="training"
        ),
        pytest.param(
            sweep({"temperature": [1.0]}), ["sweep.temperature: nothing to set", "weighting.<key>"], id="bare"
        ),
        pytest.param(sweep({"weighting": ["uniform"]}), ["sweep.weighting: nothing to set"], id="a part"),
        pytest.param(sweep({"sweep.strength": [1]}), ["sweep.sweep.strength: nothing to set"], id="sweep of a sweep"),
        pytest.param(
            sweep({"weighting.temperature.x": [1.0]}), ["sweep.weighting.temperature.x: nothing to set"], id="too deep"
        ),
        pytest.param(sweep({"strength": []}), ["sweep.strength: ", "at least 1"], id="no value"),
        pytest.param(sweep({"strength": [1, 2, 1.0]}), ["sweep.strength: ", "twice"], id="value twice"),
        pytest.param(
            sweep({"training.lora": [{"rank": 4}]}), ["sweep.training.lora.0: ", "one method for each"], id="section"
        ),
        pytest.param(sweep({"strength": [float("inf")]}), ["sweep.strength.0: ", "found inf"], id="infinity"),
        pytest.param(
            {
                "weighting": "spans",
                "objective": "ascent",
                "retain": "nll",
                "sweep": {"weighting.label": ["gold", "gpt"]},
            },
            ["sweep (label=gpt).weighting: ", "'gpt'", "`labels`"],
            id="label",
        ),
        pytest.param(
            {**RMU, "sweep": {"retain.layer": [1, 2]}},
            ["sweep.retain.layer: ", "one method for each layer"],
            id="layer",
        ),
    ],
)
def test_sweep_that_cannot_be_run(method, parts):
    message = error(changed("methods.X", method))
    assert not [part for part in parts if f"methods.X.{part}" not in message and part not in message], message
    assert message.splitlines()[1].startswith("  methods.X.sweep"), message


def test_each_bad_key_of_a_method_has_its_line():
    lines = error(changed("methods.ETW.training", {"batch_size": 0, "learning_rat": 1})).splitlines()[1:]
    assert [line.split(":")[0] for line in lines] == [
        "  methods.ETW.training.batch_size",
        "  methods.ETW.training.learning_rat",
    ]


def test_selection_must_not_look_at_reported_seeds():
    raw = changed("methods.ETW.sweep", {"strength": [1.0, 2.0]})
    assert config.load(raw).selection.seed == 1000
    raw["selection"], raw["seeds"] = {"seed": 1}, [0, 1]
    message = error(raw)
    assert "selection.seed: 1 is one of `seeds`" in message
    assert "choose another" in message
    raw["methods"]["ETW"]["sweep"] = {}
    assert config.load(raw).selection.seed == 1, "without a search there is nothing to look at"


def checkpoints(*retain, split="forget10"):
    raw = changed("models.tiny", {"source": "checkpoints", "full": {"repository": "lab/full"}})
    raw["models"]["tiny"]["retain"] = {name: {"path": f"models/{name}"} for name in retain}
    raw["splits"] = [split] if isinstance(split, str) else split
    return raw


def test_checkpoints_come_with_a_retain_model_for_each_split():
    model = config.load(checkpoints("retain90", "retain99", split=["forget10", "forget01"])).models["tiny"]
    assert model.full == config.CheckpointConfig(repository="lab/full", revision="main")
    assert model.retain["retain99"].path == "models/retain99"
    assert config.load(checkpoints("retain90", "retain95")).splits == ["forget10"], "one more does no harm"


def test_retain_models_have_two_digits():
    assert "retain05" in config.load(checkpoints("retain05", split="forget95")).models["tiny"].retain


def test_missing_retain_checkpoints_are_named():
    message = error(checkpoints("retain95", split=["forget10", "forget05", "forget01"]))
    assert "models.tiny.retain: no checkpoint for retain90, retain99; add it" in message
    assert "`splits`" in message


@pytest.mark.parametrize("place", [{}, {"repository": "a/b", "path": "c"}], ids=["nowhere", "two places"])
@pytest.mark.parametrize("key", ["full", "retain.retain90"])
def test_a_checkpoint_is_in_one_place(key, place):
    raw = checkpoints("retain90")
    where = raw["models"]["tiny"]
    *parents, last = key.split(".")
    for parent in parents:
        where = where[parent]
    where[last] = place
    assert f"models.tiny.{key}: give either `repository` or `path`" in error(raw)


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
    ga, etw = (study.training_of(study.methods[name]) for name in ("GA", "ETW"))
    assert (ga.epochs, ga.batch_size, ga.learning_rate) == (7, 3, 1e-5)
    assert (etw.epochs, etw.batch_size, etw.learning_rate) == (2, 3, 0.5)


def test_adapters_are_inherited_replaced_as_a_whole_or_left_out():
    raw = changed("unlearn", {"lora": {"rank": 4, "alpha": 8}})
    raw["methods"]["ETW"]["training"] = {"lora": {"rank": 2}}
    raw["methods"]["All"] = {**MINIMAL["methods"]["GA"], "training": {"lora": None}}
    study = config.load(raw)
    lora = {name: study.training_of(method).lora for name, method in study.methods.items()}
    assert lora["GA"] == config.LoraConfig(rank=4, alpha=8.0)
    assert lora["ETW"] == config.LoraConfig(rank=2)
    assert lora["All"] is None
    assert config.load(MINIMAL).finetune.lora is None


@pytest.mark.parametrize(
    "lora",
    [{"rank": 0}, {"alpha": 0}, {"dropout": 1}, {"dropout": -0.1}, {"targets": "all"}, {"frozen": "float16"}],
    ids=str,
)
def test_adapters_that_cannot_be(lora):
    assert f"unlearn.lora.{next(iter(lora))}: " in error(changed("unlearn.lora", lora))


# --- sweeps -----------------------------------------------------------------------------------------------


def test_points_are_all_combinations_by_name():
    raw = changed("methods.ETW.sweep", {"weighting.temperature": [1.0, 3.0], "strength": [0.1, 2]})
    raw["methods"]["ETW"]["training"] = {"epochs": 3}
    method = config.load(raw).methods["ETW"]
    points = method.points()
    assert list(points) == [
        "temperature=1.0,strength=0.1",
        "temperature=1.0,strength=2",
        "temperature=3.0,strength=0.1",
        "temperature=3.0,strength=2",
    ]
    chosen = points["temperature=3.0,strength=0.1"]
    assert chosen == config.MethodConfig(
        weighting={"entropy": {"temperature": 3.0}},
        objective="ascent",
        retain="nll",
        strength=0.1,
        training={"epochs": 3},
    )
    assert method.weighting.temperature == 2.0, "the method itself stays as it is"
    assert method.strength == 1.0


def test_every_kind_of_key_reaches_its_place():
    method = config.MethodConfig(
        weighting="entropy",
        objective="npo",
        retain={"embed_diff": {"layer": 1}},
        training={"learning_rate": 1e-3},
        sweep={
            "weighting.temperature": [5],
            "objective.beta": [0.7],
            "retain.layer": [2],
            "strength": [3],
            "retain_strength": [0.5],
            "training.learning_rate": [2e-5],
            "training.epochs": [4],
        },
    )
    ((name, point),) = method.points().items()
    assert name == "temperature=5,beta=0.7,layer=2,strength=3,retain_strength=0.5,learning_rate=2e-05,epochs=4"
    assert (point.weighting.temperature, point.objective.beta, point.retain.layer) == (5.0, 0.7, 2)
    assert (point.strength, point.retain_strength, point.training) == (3.0, 0.5, {"learning_rate": 2e-5, "epochs": 4})
    assert point.points() == {}


def test_keys_with_one_end_are_written_out():
    method = config.MethodConfig(**RMU, sweep={"objective.layer": [1, 2], "retain.layer": [2], "strength": [1]})
    assert list(method.points()) == [
        "objective.layer=1,retain.layer=2,strength=1",
        "objective.layer=2,retain.layer=2,strength=1",
    ]


def test_numbers_that_yaml_takes_for_text_are_numbers():
    raw = yaml.safe_load("training.learning_rate: [2e-3, 1.0e-4]\nstrength: [1E2]")
    assert raw["training.learning_rate"][0] == "2e-3"
    method = config.load(changed("methods.ETW.sweep", raw)).methods["ETW"]
    assert method.sweep == {"training.learning_rate": [0.002, 0.0001], "strength": [100.0]}
    assert list(method.points()) == ["learning_rate=0.002,strength=100.0", "learning_rate=0.0001,strength=100.0"]


def test_names_of_points_can_be_folders():
    raw = changed("labels", {"gold": {"source": "gold"}, "gpt-4o": {"source": "span_file", "path": "a.jsonl"}})
    raw["methods"]["Oracle"] = {"weighting": "spans", "objective": {"npo": {}}, "retain": "nll"}
    raw["methods"]["Oracle"]["sweep"] = {"weighting.label": ["gold", "gpt-4o"], "objective.weighted_reference": [True]}
    points = list(config.load(raw).methods["Oracle"].points())
    assert points == ["label=gold,weighted_reference=True", "label=gpt-4o,weighted_reference=True"]
    assert not [name for name in points if set(name) & set("/ {}'\"*?")]


def test_variants_are_what_is_trained():
    raw = changed("methods.ETW.sweep", {"weighting.temperature": [1.0, 3.0]})
    raw["methods"]["Last"] = MINIMAL["methods"]["GA"]
    study = config.load(raw)
    variants = study.variants()
    assert list(variants) == ["GA", "ETW@temperature=1.0", "ETW@temperature=3.0", "Last"]
    assert variants["GA"] is study.methods["GA"]
    assert variants["ETW@temperature=3.0"].weighting.temperature == 3.0
    assert all(not variant.sweep for variant in variants.values())
    assert list(config.load(MINIMAL).variants()) == ["GA", "ETW"]


def test_training_of_a_point_has_its_own_values():
    raw = changed("methods.ETW.sweep", {"training.learning_rate": [0.25]})
    raw["methods"]["ETW"]["training"] = {"learning_rate": 0.5, "epochs": 2}
    study = config.load(raw)
    point = study.training_of(study.variants()["ETW@learning_rate=0.25"])
    assert (point.learning_rate, point.epochs, point.batch_size) == (0.25, 2, 32)


def test_resolved_points_are_configs():
    study = config.load(changed("methods.ETW.sweep", {"weighting.temperature": [1, 3], "training.epochs": [1]}))
    for variant in study.variants().values():
        assert config.MethodConfig(**json.loads(json.dumps(variant.model_dump(mode="json")))) == variant


# --- what the token table holds -----------------------------------------------------------------------------


def test_temperatures_are_those_asked_for_and_those_needed():
    assert config.load(MINIMAL).all_temperatures() == [1.0, 2.0]
    assert config.load(changed("temperatures", [5, 0.5, 2.0])).all_temperatures() == [0.5, 1.0, 2.0, 5.0]
    assert config.load(changed("temperatures", [])).all_temperatures() == [1.0, 2.0]


def test_a_sweep_reaches_the_hyper_parameters_of_a_form():
    raw = changed("methods.ETW.weighting", {"spread": {"form": {"top_k_entropy": {"k": 5}}}})
    raw["methods"]["ETW"]["sweep"] = {"weighting.form.temperature": [1.0, 3.0]}
    points = config.load(raw).methods["ETW"].points()
    assert {name: point.weighting.form for name, point in points.items()} == {
        "temperature=1.0": TopKEntropy(k=5),
        "temperature=3.0": TopKEntropy(k=5, temperature=3.0),
    }


def test_temperatures_of_a_sweep_take_the_place_of_the_methods_own():
    study = config.load(changed("methods.ETW.sweep", {"weighting.temperature": [3, 0.5]}))
    assert study.all_temperatures() == [0.5, 1.0, 3.0]


def test_forms_are_those_asked_for_and_those_needed_each_once():
    raw = changed("forms", ["margin", {"variance": {"temperature": 2}}])
    assert [form.column for form in config.load(raw).all_forms()] == ["margin_T1.0", "variance_T2.0"]
    raw["methods"]["Variance"] = {**MINIMAL["methods"]["ETW"], "weighting": {"spread": {"form": "variance"}}}
    raw["methods"]["Again"] = {**raw["methods"]["Variance"], "strength": 2.0}
    raw["methods"]["Same"] = {**MINIMAL["methods"]["ETW"], "weighting": {"spread": {"form": "margin"}}}
    study = config.load(raw)
    assert [form.column for form in study.all_forms()] == ["margin_T1.0", "variance_T2.0", "variance_T1.0"]
    assert study.all_forms()[-1] == Variance()
    assert config.load(MINIMAL).all_forms() == []


def test_forms_are_written_by_name_or_with_hyper_parameters():
    study = config.load(changed("forms", ["variance", {"top_k_entropy": {"k": 5, "temperature": 3}}]))
    assert study.forms == [Variance(), TopKEntropy(k=5, temperature=3.0)]
    assert study.model_dump(mode="json")["forms"][1] == {"top_k_entropy": {"temperature": 3.0, "k": 5}}


# --- defaults of what is optional ---------------------------------------------------------------------------


def test_nothing_extra_is_done_unless_asked_for():
    study = config.load(MINIMAL)
    assert (study.embedding_noise, study.refusals, study.forms, study.compare) == (None, None, [], None)
    assert study.measure.every == 0
    assert study.measure.suite == "cheap"
    assert study.measure.during == {}
    assert study.selection == config.SelectionConfig(rule="lowest_aggregate", seed=1000, trials=None, suite="full")
    assert not study.swept()


def test_noise_and_refusals_as_written():
    assert config.load(changed("embedding_noise", {})).embedding_noise == config.EmbeddingNoiseConfig(
        passes=8, scale=0.1
    )
    assert config.load(changed("embedding_noise", {"passes": 2})).embedding_noise.passes == 2
    assert config.load(changed("refusals", "data/idontknow.jsonl")).refusals == "data/idontknow.jsonl"
    for wrong in ({"passes": 1}, {"scale": 0}):
        assert f"embedding_noise.{next(iter(wrong))}: " in error(changed("embedding_noise", wrong))


def test_looks_during_training_as_written():
    measure = config.load(changed("measure", {"every": 3, "suite": "full", "during": {"forget": 5}})).measure
    assert (measure.every, measure.suite, measure.during) == (3, "full", {"forget": 5})
    assert "measure.every: " in error(changed("measure.every", -1))
    assert "measure.suite: " in error(changed("measure.suite", "quick"))


# --- ranges -------------------------------------------------------------------------------------------------


def swept(sweep: dict, trials: int | None = None) -> dict:
    raw = changed("methods.GA", {**MINIMAL["methods"]["GA"], "weighting": "entropy", "sweep": sweep})
    return raw | {"selection": {"trials": trials}}


def test_a_range_needs_a_number_of_trials():
    raw = swept({"strength": {"low": 0.1, "high": 1.0, "log": True}})
    assert "methods.GA.sweep.strength: a range needs `selection.trials`" in error(raw)
    study = config.load(swept({"strength": {"low": 0.1, "high": 1.0, "log": True}}, trials=7))
    assert study.tried("GA") == 7
    assert study.swept() == ["GA"]


def test_a_range_of_the_weighting_needs_a_step_and_the_token_table_holds_it():
    wide = {"weighting.temperature": {"low": 1.0, "high": 2.0}}
    assert "methods.GA.sweep.weighting.temperature: a range of the weighting needs a `step`" in error(swept(wide, 3))
    stepped = {"weighting.temperature": {"low": 1.0, "high": 2.0, "step": 0.25}}
    assert set(config.load(swept(stepped, 3)).all_temperatures()) >= {1.0, 1.25, 1.5, 1.75, 2.0}


@pytest.mark.parametrize(
    ("range_", "part"),
    [
        ({"low": 1.0, "high": 1.0}, "`low` must be below `high`"),
        ({"low": 0.0, "high": 1.0, "log": True}, "above 0"),
        ({"low": 0.1, "high": 1.0, "log": True, "step": 0.1}, "no `step`"),
    ],
)
def test_a_range_that_is_none(range_, part):
    assert part in error(swept({"strength": range_}, 3))


def test_a_value_outside_the_parts_bounds_is_found_at_the_end_of_a_range():
    assert "strength" in error(swept({"strength": {"low": -1.0, "high": 1.0}}, 3))


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


def test_objective_and_retain_term_read_the_same_layer():
    message = error(changed("methods.RMU", {**RMU, "retain": {"embed_diff": {"layer": 1}}}))
    assert "methods.RMU: objective and retain term read different layers [1, 2]" in message
