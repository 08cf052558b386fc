# Shared by all rules: the validated study, wildcards, and paths that more than one rule needs.
import itertools
import os
import re
from pathlib import Path

import lethe
from lethe.config import DisturbConfig, load
from lethe.methods.forms import FORMS as FORM_CLASSES
from lethe.methods.contract import StaticWeighting
from lethe.tokens.table import entropy_column

STUDY = load(config)
S = STUDY.study
MODELS = list(STUDY.models)
METHODS = list(STUDY.methods)
# What is trained: methods, and every point of a sweep as <method>@<point>. What a swept method is, its search says.
VARIANTS = STUDY.variants()
SWEPT = [name for name, method in STUDY.methods.items() if method.sweep]
POINTS = {name: STUDY.methods[name].points() for name in SWEPT}
SPLITS = STUDY.splits
retain_name = STUDY.task.retain_name
RETAINS = [retain_name(split) for split in SPLITS] if STUDY.has_retain_models else []
# Models that Lethe fine-tunes, and those that come as checkpoints.
TRAINED = [n for n, m in STUDY.models.items() if m.source != "checkpoints"]
FETCHED = [n for n in MODELS if n not in TRAINED]
# Compute nodes are often offline: what may download runs where Snakemake runs.
NEEDS_NETWORK = any(
    model.source in ("hub", "checkpoints") for model in STUDY.models.values()
)
LIBRARY = Path(os.path.relpath(Path(lethe.__file__).parent))


wildcard_constraints:
    study=S,
    model="|".join(MODELS),
    method="|".join(re.escape(name) for name in [*METHODS, *VARIANTS]),
    split="|".join(SPLITS),
    data="|".join(["full", *RETAINS]),
    seed=r"\d+",
    run=r"[^/]+(/[^/]+/seed\d+)?",


# Snakemake does not see edits to imported modules; as inputs, they rerun what depends on them.
def lib(*modules):
    return [str(LIBRARY / f"{module}.py") for module in modules]


def section(value):
    return value.model_dump(mode="json")


# Every method of every seed, as paths below results/{study}/<rule>/{model}/{split}/
RUNS = [f"{method}/seed{seed}" for method in METHODS for seed in STUDY.seeds]
WHO = [*STUDY.task.references, *RUNS]


# Names of a method's parts are names of their files: editing one reruns the methods that use it, and no others.
def part_name(part):
    (name,) = part
    return name


def weighting_name(method):
    return part_name(section(method)["weighting"])


# Any point of a swept method has the same parts; only their hyper-parameters differ.
def method_code(method):
    parts = section(method)
    modules = [
        *(
            "training/unlearn",
            "training/loop",
            "methods/contract",
            "models/states",
            "methods/kernel",
            "models/prompts",
            "tokens/table",
        ),
        *(
            "models/sources",
            "training/recorders",
            "training/reference",
            "models/device",
        ),
        f"weightings/{part_name(parts['weighting'])}",
        f"objectives/{part_name(parts['objective'])}",
        f"retain/{part_name(parts['retain'])}",
    ]
    modules += ["methods/forms"] * bool(method.weighting.forms())
    modules += ["benchmarks/refusals"] * method.objective.refusals
    modules += ["models/lora"] * (STUDY.training_of(method).lora is not None)
    if STUDY.evaluation.evaluate_every > 0:
        modules += ["evaluation/measure", "models/forward", "evaluation/sets"]
    return lib(*modules)


# The stages of the token table that have the given columns.
def stages_of(columns):
    stages = {
        "annotate": ("informative_",),
        "score": ("logprob", "entropy_", *FORM_CLASSES),
        "parse": ("pos", "noun_chunk", "entity"),
        "disturb": ("mutual_information",),
    }
    return [
        stage
        for stage, prefixes in stages.items()
        if any(
            column.startswith(prefixes) and not (stage == "parse" and "_T" in column)
            for column in columns
        )
    ]


# What weights at the starting model are made from.
def weight_columns(method):
    columns = [entropy_column(t) for t in method.weighting.temperatures()]
    columns += [form.column for form in method.weighting.forms()]
    if isinstance(method.weighting, StaticWeighting):
        columns += method.weighting.columns()
    return columns


# What training reads of the token table: entropies and forms come from its own forward passes.
def training_columns(method):
    columns = []
    if isinstance(method.weighting, StaticWeighting):
        columns += method.weighting.columns()
    if method.objective.reference or method.weighting.reference:
        columns.append("logprob")
    return columns


def configs(name):
    return list(POINTS[name].values()) if name in SWEPT else [VARIANTS[name]]


def unlearn_inputs(wildcards):
    methods = configs(wildcards.method)
    table = f"{wildcards.model}/{wildcards.split}"
    stages = stages_of([c for m in methods for c in training_columns(m)]) or ["tokens"]
    inputs = {
        "data": f"results/{S}/prepare/data.json",
        "model": starting_model(wildcards),
        "tables": [f"results/{S}/{stage}/{table}.parquet" for stage in stages],
        "code": method_code(methods[0]),
        **{
            f"kept_{name}": f"results/{S}/reference/{table}/{kept}.safetensors"
            for name, kept in methods[0].kept().items()
        },
    }
    if methods[0].objective.refusals:
        inputs["refusals"] = f"results/{S}/refuse/{table}.parquet"
    if wildcards.method in SWEPT:
        inputs["chosen"] = f"results/{S}/search/{table}/{wildcards.method}/chosen.json"
    return inputs


# A folder with the model that was trained on `data`: full, or a retain split.
def model_folder(model, data):
    maker = "finetune" if model in TRAINED else "checkpoint"
    return f"results/{S}/{maker}/{model}/{data}/model"


def starting_model_of(model):
    return model_folder(model, "full")


def starting_model(wildcards):
    return starting_model_of(wildcards.model)


# Fine-tuning needs no token table; a tokenizer does not change by it.
def tokenizer_folder(wildcards):
    if wildcards.model in TRAINED:
        return f"results/{S}/base/{wildcards.model}/model"
    return starting_model(wildcards)


# What the token table that figures read is joined from: parser and disturbed passes only where they are needed.
WEIGH_STAGES = ["annotate", "score"]
WEIGH_STAGES += [
    stage
    for stage in stages_of([c for m in VARIANTS.values() for c in weight_columns(m)])
    if stage not in WEIGH_STAGES
]
if STUDY.disturb is not None and "disturb" not in WEIGH_STAGES:
    WEIGH_STAGES.append("disturb")


# None for a swept method: its search says what it is.
def method_of(name):
    return None if name in SWEPT else section(VARIANTS[name])


UNLEARN_TABLES = ["log", "weights"]
if STUDY.evaluation.evaluate_every > 0:
    UNLEARN_TABLES += ["epoch_tokens", "epoch_generations"]
ASKED = {form.column for form in STUDY.forms}
NEEDED_FORMS = [
    {form.prefix: section(form)}
    for form in STUDY.all_forms()
    if form.column not in ASKED
]


# Unlearned weights are kept unless the config says that only their measurements are wanted.
def kept(path):
    return path if STUDY.keep_models else temp(path)


# A measured run is `full`, a retain model, or split/method/seedN.
def measured_model(wildcards):
    if wildcards.run in ["full", *RETAINS]:
        return model_folder(wildcards.model, wildcards.run)
    return f"results/{S}/unlearn/{wildcards.model}/{wildcards.run}/model"


def measured_splits(wildcards):
    if wildcards.run == "full":
        return SPLITS
    first = Path(wildcards.run).parts[0]
    return [split for split in SPLITS if first in (split, retain_name(split))]


# Where a measured run's tables are, for each row of the results of a split.
def measured_run(split, who):
    return {"full": "full", "retain": retain_name(split)}.get(who, f"{split}/{who}")


# Runs of the models that those of a split are held against.
def references(split):
    return [measured_run(split, who) for who in STUDY.task.references]


# The split whose retain model is trained on `data`; None for the full model.
def split_of(data):
    return next((split for split in SPLITS if retain_name(split) == data), None)


# Measurements that a search compares: the reference models', and each point's.
def searched(wildcards, table):
    points = [
        f"{wildcards.split}/{wildcards.method}@{point}/seed{STUDY.selection.seed}"
        for point in POINTS[wildcards.method]
    ]
    return expand(
        "results/{{study}}/measure/{{model}}/{run}/{table}.parquet",
        run=[*references(wildcards.split), *points],
        table=table,
    )


# What a point of a sweep sets, by its id.
def point_parameters(name):
    keys = list(STUDY.methods[name].sweep)
    values = itertools.product(*STUDY.methods[name].sweep.values())
    return {
        point: dict(zip(keys, combination))
        for point, combination in zip(POINTS[name], values)
    }


# What is measured during a run; None if nothing is. Points of a search are judged by their end alone.
def epoch_evaluation(name):
    if STUDY.evaluation.evaluate_every == 0 or "@" in name:
        return None
    keys = {"evaluate_every", "epoch_suite", "epoch_limits", "max_new_tokens", "limits"}
    return {
        "study_splits": SPLITS,
        "evaluation": STUDY.evaluation.model_dump(mode="json", include=keys),
    }


# What changes metrics that are computed from measurements.
def judging(evaluation):
    keys = {"limits", "min_k", "ou_compat"}
    return evaluation.model_dump(mode="json", include=keys)


# What changes a measurement, as opposed to a metric computed from it.
def measuring(evaluation):
    keys = {"precision", "max_new_tokens", "limits"}
    return evaluation.model_dump(mode="json", include=keys)


# fictional.py, fictional_kinds.py, …; tofu.py and tofu_files.py
BENCHMARK_MODULES = sorted(
    f"benchmarks/{path.stem}"
    for path in (LIBRARY / "benchmarks").glob(f"{STUDY.benchmark.name}*.py")
)
# The user's own files count as inputs: editing one reruns what is made from it.
BENCHMARK_FILES = (
    sorted(str(path) for path in Path(STUDY.benchmark.path).glob("*.json"))
    if section(STUDY.benchmark).get("path")
    else []
)
LABEL_FILES = [
    section(label)["path"]
    for label in STUDY.labels.values()
    if "path" in section(label)
]


def checkpoint_of(model, data):
    checkpoints = section(STUDY.models[model])
    return checkpoints["full"] if data == "full" else checkpoints["retain"][data]


# Only for methods that need them: other lines must not rerun the rest.
def refusal_lines(name):
    return STUDY.refusals if configs(name)[0].objective.refusals else None


REFUSAL_FILES = [] if STUDY.refusals is None else [STUDY.refusals]


def model_files(wildcards):
    model = section(STUDY.models[wildcards.model])
    return files_of(model["path"]) if model["source"] == "folder" else []


def checkpoint_files(wildcards):
    path = checkpoint_of(wildcards.model, wildcards.data).get("path")
    return [] if path is None else files_of(path)


# A folder that is not there is reported by the job, with the key to mend.
def files_of(folder):
    return sorted(str(path) for path in Path(folder).glob("*") if path.is_file())


# The pages of a table; `stem` may hold wildcards.
def pages(stem, prefix=""):
    return {f"{prefix}{suffix}": f"{stem}.{suffix}" for suffix in ("csv", "md", "tex")}


METRIC_MODULES = sorted(
    f"metrics/{path.stem}" for path in (LIBRARY / "metrics").glob("*.py")
)
RUNS_TABLE = "results/{study}/evaluate/{model}/{split}/runs.parquet"
TOKEN_TABLE = "results/{study}/weigh/{model}/{split}.parquet"
# Methods whose search goes through ETW's temperature.
TEMPERATURE_SWEEPS = [
    name
    for name in SWEPT
    if weighting_name(STUDY.methods[name]) == "entropy"
    and "weighting.temperature" in STUDY.methods[name].sweep
]

# Functional forms whose search shows what they give for their price, and what they are held against: ascent with uniform
# weights and a retain term.
FORM_WEIGHTINGS = [
    *(
        "entropy",
        "raw_entropy",
        "spread",
        "raw_spread",
        "mutual_information",
        "uniform",
    ),
]
FORM_SWEEPS = [
    name
    for name in SWEPT
    for method in [section(STUDY.methods[name])]
    if part_name(method["weighting"]) in FORM_WEIGHTINGS
    and part_name(method["objective"]) == "ascent"
    and part_name(method["retain"]) != "none"
]


# Everything of the ETW paper.
ETW = [
    f"results/{S}/etw_tab_main/main.csv",
    f"results/{S}/etw_fig6/tradeoff.svg",
    *expand("results/{study}/etw_fig2/{split}.svg", study=S, split=SPLITS),
    *expand(
        "results/{study}/{figure}/{model}/{split}.svg",
        study=S,
        figure=["etw_fig3", "etw_fig4", "training"],
        model=MODELS,
        split=SPLITS,
    ),
]
