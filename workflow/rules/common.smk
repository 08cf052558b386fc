# Shared by all rules: the validated study, wildcards, and paths that more than one rule needs.
import os
from pathlib import Path

import lethe
from lethe.benchmarks.records import retain_split
from lethe.config import load
from lethe.method import StaticWeighting

STUDY = load(config)
S = STUDY.study
MODELS = list(STUDY.models)
METHODS = list(STUDY.methods)
SPLITS = STUDY.splits
RETAINS = [retain_split(split) for split in SPLITS]
# Compute nodes are often offline: what may download runs where Snakemake runs.
NEEDS_NETWORK = any(model.source == "hub" for model in STUDY.models.values())
LIBRARY = Path(os.path.relpath(Path(lethe.__file__).parent))


wildcard_constraints:
    study=S,
    model="|".join(MODELS),
    method="|".join(METHODS),
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
WHO = ["full", "retain", *RUNS]


# Names of a method's parts are names of their files: editing one reruns the methods that use it, and no others.
def part_name(part):
    (name,) = part
    return name


def weighting_name(method):
    return part_name(section(method)["weighting"])


def method_code(name):
    parts = section(STUDY.methods[name])
    return lib(
        "unlearn",
        "train",
        "method",
        "statistics",
        "prompts",
        "tokens",
        f"weightings/{part_name(parts['weighting'])}",
        f"objectives/{part_name(parts['objective'])}",
        f"retain/{part_name(parts['retain'])}",
    )


# The stages of the token table that have what a method reads of it.
def table_stages(method):
    columns = (
        method.weighting.columns()
        if isinstance(method.weighting, StaticWeighting)
        else ()
    )
    labels = any(column.startswith("informative_") for column in columns)
    scores = any(column.startswith(("logprob", "entropy_")) for column in columns)
    scores = scores or method.objective.reference or method.weighting.reference
    stages = labels * ["annotate"] + scores * ["score"]
    return stages or ["tokens"]


def unlearn_inputs(wildcards):
    method = STUDY.methods[wildcards.method]
    table = f"{wildcards.model}/{wildcards.split}.parquet"
    inputs = {
        "records": f"results/{S}/prepare/records.parquet",
        "model": f"results/{S}/finetune/{wildcards.model}/full/model",
        "tables": [f"results/{S}/{stage}/{table}" for stage in table_stages(method)],
        "code": method_code(wildcards.method),
    }
    if method.retain.reference:
        inputs["reference"] = (
            f"results/{S}/reference/{wildcards.model}/{wildcards.split}.safetensors"
        )
    return inputs


# Unlearned weights are kept unless the config says that only their measurements are wanted.
def kept(path):
    return path if STUDY.keep_models else temp(path)


# A measured run is `full`, a retain model, or split/method/seedN.
def measured_model(wildcards):
    maker = "finetune" if wildcards.run in ["full", *RETAINS] else "unlearn"
    return f"results/{S}/{maker}/{wildcards.model}/{wildcards.run}/model"


def measured_splits(wildcards):
    if wildcards.run == "full":
        return SPLITS
    first = Path(wildcards.run).parts[0]
    return [split for split in SPLITS if first in (split, retain_split(split))]


# Where a measured run's tables are, for each row of the results of a split.
def measured_run(split, who):
    return {"full": "full", "retain": retain_split(split)}.get(who, f"{split}/{who}")


# What changes a measurement, as opposed to a metric computed from it.
def measuring(evaluation):
    keys = {"precision", "max_new_tokens", "limits"}
    return {key: value for key, value in section(evaluation).items() if key in keys}


# fictional.py and fictional_world.py, tofu.py and tofu_files.py
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


def model_files(wildcards):
    model = section(STUDY.models[wildcards.model])
    if model["source"] != "folder":
        return []
    return sorted(str(path) for path in Path(model["path"]).iterdir() if path.is_file())


METRIC_MODULES = sorted(
    f"metrics/{path.stem}" for path in (LIBRARY / "metrics").glob("*.py")
)
RUNS_TABLE = "results/{study}/evaluate/{model}/{split}/runs.parquet"
TOKEN_TABLE = "results/{study}/weigh/{model}/{split}.parquet"


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
