"""What figures and tables read and are told: the keys of their declarations (`lethe.exhibits`), as files and values."""

from collections.abc import Callable
from os.path import relpath
from typing import Any

from lethe.analysis.curves import left_out
from lethe.exhibits import EXHIBITS, SUFFIXES, Exhibit
from lethe.plan.closure import closure, module, part_files
from lethe.plan.rules import Plan

Places = list[tuple[str, str]]
Wildcards = dict[str, str]


def exhibits(plan: Plan) -> list[Exhibit]:
    """Those that the study has."""
    return [exhibit for exhibit in EXHIBITS.values() if exhibit.when(plan.study)]


def code(plan: Plan, exhibit: Exhibit) -> list[str]:
    """Files of the package that decide what is drawn."""
    files = module(f"{exhibit.package}.{exhibit.name}")
    if "configured" in exhibit.settings:
        files += set().union(*map(part_files, plan.study.methods.values()))
    if "task" in exhibit.settings:
        files += plan.benchmark_code()
    return list(map(relpath, closure(files)))


def places(plan: Plan, wildcards: Wildcards) -> Places:
    """Models and splits that a job is about."""
    return plan.places(wildcards.get("model"), wildcards.get("split"))


def inputs(plan: Plan, exhibit: Exhibit, wildcards: Wildcards) -> dict[str, list[str]]:
    """Key of `Exhibit.reads` -> its files, in the order of the job's places."""
    methods = [wildcards["method"]] if "method" in wildcards else plan.swept
    found = {key: SOURCES[key](plan, places(plan, wildcards), methods) for key in exhibit.reads}
    return found | {"code": code(plan, exhibit)}


def settings(plan: Plan, exhibit: Exhibit) -> dict[str, Any]:
    """Key of `Exhibit.settings` -> its value."""
    return {key: SETTINGS[key](plan) for key in exhibit.settings}


def stems(plan: Plan, exhibit: Exhibit, wildcards: Wildcards) -> dict[str, str]:
    """Part -> path without suffix, for one job."""
    parts = [output.part for output in exhibit.outputs]
    return {part: f"{plan.root}/{exhibit.path(part)}".format(**wildcards) for part in parts}


def targets(plan: Plan) -> list[str]:
    """All figures and tables, one file of each job."""
    found = []
    for exhibit in exhibits(plan):
        first = exhibit.outputs[0]
        path = f"{plan.root}/{exhibit.path(first.part)}.{SUFFIXES[first.kind][0]}"
        found += [path.format(**wildcards) for wildcards in _jobs(plan, exhibit)]
    return found


def _jobs(plan: Plan, exhibit: Exhibit) -> list[Wildcards]:
    match exhibit.per:
        case "study":
            return [{}]
        case "split":
            return [{"split": split} for split in plan.splits]
        case "model/split":
            return [{"model": model, "split": split} for model, split in plan.places()]
        case "method":
            return [{"method": name} for name in temperature_sweeps(plan)]


def temperature_sweeps(plan: Plan) -> list[str]:
    """Methods whose search goes through ETW's temperature."""
    methods = plan.section("methods")
    return [
        name
        for name in plan.swept
        if "entropy" in methods[name]["weighting"] and "weighting.temperature" in methods[name]["sweep"]
    ]


SOURCES: dict[str, Callable[[Plan, Places, list[str]], list[str]]] = {
    "tokens": lambda plan, places, _: [plan.stage("weigh", *place) for place in places],
    "runs": lambda plan, places, _: [f"{plan.root}/evaluate/{m}/{s}/runs.parquet" for m, s in places],
    "samples": lambda plan, places, _: [f"{plan.root}/evaluate/{m}/{s}/samples.parquet" for m, s in places],
    "trajectory": lambda plan, places, _: [f"{plan.root}/trajectory/{m}/{s}/runs.parquet" for m, s in places],
    "next_tokens": lambda plan, places, _: [plan.stage("next_tokens", *place) for place in places],
    "data": lambda plan, places, _: [plan.data()],
    "chosen": lambda plan, places, methods: plan.chosen(places, methods),
    "search": lambda plan, places, methods: [
        plan.search_table(*place, name, "runs.parquet") for place in places for name in methods
    ],
    "logs": lambda plan, places, _: [
        f"{plan.run_folder(*place, run)}/log.parquet" for place in places for run in plan.runs
    ],
    "weights": lambda plan, places, _: [
        f"{plan.run_folder(*place, f'{name}/seed{plan.study.seeds[0]}')}/weights.parquet"
        for place in places
        for name in plan.methods
    ],
    "measured": lambda plan, places, _: [
        plan.measured(*place, who)
        for place in places
        for who in [*plan.study.task.references, *(f"{name}/seed{plan.study.seeds[0]}" for name in plan.methods)]
    ],
    "correlation": lambda plan, places, _: [
        f"{plan.root}/correlation/{split}.csv" for split in dict.fromkeys(split for _, split in places)
    ],
    "starting": lambda plan, places, _: [plan.folder(model) for model in dict.fromkeys(model for model, _ in places)],
    "epochs": lambda plan, places, _: [f"{plan.root}/finetune/{model}/full/epochs.parquet" for model in plan.trained],
}
"""What figures and tables read: key -> files for the places of a job, and the searched methods it is about."""

SETTINGS: dict[str, Callable[[Plan], Any]] = {
    "task": lambda plan: plan.study.task.name,
    "methods": lambda plan: plan.methods,
    "configured": lambda plan: plan.section("methods"),
    "swept": lambda plan: plan.swept,
    "tried": lambda plan: {name: plan.study.tried(name) for name in plan.methods},
    "method": lambda plan: plan.study.compare,
    "labels": lambda plan: list(plan.study.labels),
    "label": lambda plan: plan.study.figures.label,
    "eos": lambda plan: plan.study.figures.eos,
    "cluster": lambda plan: plan.study.figures.cluster,
    "bootstrap": lambda plan: plan.study.figures.bootstrap,
    "shown_samples": lambda plan: plan.study.figures.samples,
    "likeliest": lambda plan: LIKELIEST,
    "seed": lambda plan: plan.study.seed,
    "seeds": lambda plan: plan.study.seeds,
    "selection_seed": lambda plan: plan.study.selection.seed,
    "rule": lambda plan: plan.study.selection.rule,
    "temperatures": lambda plan: plan.study.all_temperatures(),
    "forms": lambda plan: [form.column for form in plan.study.all_forms()],
    "utility": lambda plan: (
        plan.study.task.headline.utility
        if plan.study.measure.suite == "full"
        else plan.study.task.headline.cheap_utility
    ),
    "baseline": lambda plan: "GradDiff" if "GradDiff" in plan.methods else plan.methods[0],
    "runs_per_place": lambda plan: len(plan.runs),
    "trained": lambda plan: plan.trained,
    "finetune_temperatures": lambda plan: plan.study.finetune_temperatures,
    "left_out": lambda plan: left_out(plan.study.methods, plan.study.finetune_temperatures),
    "passes": lambda plan: plan.noise()["passes"] if "embedding_noise" in plan.weigh_stages else None,
    "form_sweeps": lambda plan: plan.study.form_sweeps(),
    "form_references": lambda plan: plan.study.form_references(),
    "benchmark": lambda plan: plan.section("benchmark"),
    "models": lambda plan: plan.section("models"),
    "measure": lambda plan: plan.section("measure"),
    "evaluate": lambda plan: plan.section("evaluate"),
    "prompt": lambda plan: plan.section("prompt"),
}
"""What figures and tables are told: key -> value of the config, or made from it."""

LIKELIEST = 8
"""Next words that `etw_fig1` shows at a place."""
