"""The study as a graph: what is run, where results lie, which code decides them. No model library is loaded here.

The workflow's rules ask a `Plan` for their inputs and parameters; what it says can be tested without Snakemake.

    base, checkpoint, finetune   starting model (`full`) and, where the benchmark has one, a retain model per split
    tokens, annotate, …, weigh   stages of the token table, see `STAGES`
    search                       all trials of a swept method, and the configuration that is chosen
    unlearn                      one run: (model, split, method, seed), trained and measured in one process
    measure                      reference models, and kept models whose measurement is out of date
    evaluate, trajectory         every metric of every run, at its end and by epoch

Which files of the package decide a rule's results is computed, see `lethe.closure`.
"""

import copy
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterable
from functools import cached_property
from os.path import relpath
from pathlib import Path
from typing import Any

from lethe.analysis.curves import left_out
from lethe.closure import closure, module, part_files
from lethe.config import EmbeddingNoiseConfig, MethodConfig, Study
from lethe.exhibits import EXHIBITS, SUFFIXES, Exhibit
from lethe.io import read_provenance
from lethe.methods.forms import FORMS, entropy_column

STAGES = {
    "annotate": r"informative_.+",
    "score": rf"logprob|entropy_T[\d.]+|({'|'.join(FORMS)})(_.+)?_T[\d.]+",
    "parse": r"pos|noun_chunk|entity",
    "embedding_noise": r"mutual_information",
}
"""Stage of the token table -> the columns that it adds (full match)."""


# ---------------------------------------------------------------------------------------------- columns


def stages_of(columns: Iterable[str]) -> list[str]:
    """Stages of the token table that add the given columns, in the order of `STAGES`."""
    columns = list(columns)
    return [stage for stage, names in STAGES.items() if any(re.fullmatch(names, column) for column in columns)]


def training_columns(method: MethodConfig) -> list[str]:
    """What training reads of the token table; entropies and forms come from its own forward passes."""
    return [*method.weighting.columns()] + ["logprob"] * (method.objective.reference or method.weighting.reference)


def weight_columns(method: MethodConfig) -> list[str]:
    """What weights at the starting model are made from."""
    columns = [entropy_column(t) for t in method.weighting.temperatures()]
    columns += [form.column for form in method.weighting.forms()]
    return [*columns, *method.weighting.columns()]


def measurement(study: Study) -> str:
    """Hash of all that decides what is measured on a model; stored with the tables that are measured."""
    config = study.model_dump(mode="json")
    settings = [config["measure"], config["prompt"], config["splits"]]
    contents = [path.read_text(encoding="utf-8") for path in closure(module("evaluation.measure", "evaluation.sets"))]
    return hashlib.sha256(json.dumps([settings, contents], sort_keys=True).encode()).hexdigest()


# ---------------------------------------------------------------------------------------------- the study


class Plan:
    """Runs, paths, inputs and parameters of a study's rules.

    Paths are relative to the working directory. A *place* is a model and a forget split.

    Args:
        study: the validated config.
        scripts: folder of the rules' scripts.
    """

    def __init__(self, study: Study, scripts: Path):
        self.study, self.scripts = study, scripts
        self.root = f"results/{study.study}"
        self.models, self.splits, self.methods = list(study.models), list(study.splits), list(study.methods)
        # Names of what retain models are trained on, by split; none where the benchmark has no retain models.
        self.retain_names = {split: study.task.retain_name(split) for split in self.splits if study.has_retain_models}
        self.retains = list(dict.fromkeys(self.retain_names.values()))
        self.trained = study.trained()
        self.fetched = [name for name in self.models if name not in self.trained]
        self.swept = study.swept()
        self.runs = [f"{method}/seed{seed}" for method in self.methods for seed in study.seeds]
        self.who = [*study.task.references, *self.runs]

    # --- names

    def wildcards(self) -> dict[str, str]:
        """Wildcard -> what it may be."""

        def one_of(names: Iterable[str]) -> str:
            return "|".join(map(re.escape, names))

        return {
            "study": re.escape(self.study.study),
            "model": one_of(self.models),
            "method": one_of(self.methods),
            "split": one_of(self.splits),
            "data": one_of(["full", *self.retains]),
            "seed": r"\d+",
            "run": r"[^/]+(/[^/]+/seed\d+)?",
            "kept": r"forget|retain(-layer\d+)?",
        }

    def places(self, model: str | None = None, split: str | None = None) -> list[tuple[str, str]]:
        """All places, or those of a model or split."""
        models, splits = [model] if model else self.models, [split] if split else self.splits
        return list(itertools.product(models, splits))

    @property
    def needs_network(self) -> bool:
        """Whether models are fetched: such rules run where Snakemake runs, compute nodes are often offline."""
        return any(model.source in ("hub", "checkpoints") for model in self.study.models.values())

    # --- paths

    def data(self) -> str:
        return f"{self.root}/prepare/data.json"

    def stage(self, stage: str, model: str, split: str) -> str:
        """A stage of the token table."""
        return f"{self.root}/{stage}/{model}/{split}.parquet"

    def folder(self, model: str, data: str = "full") -> str:
        """Folder of the model that was trained on `data`: full, or a retain split."""
        return f"{self.root}/{'finetune' if model in self.trained else 'checkpoint'}/{model}/{data}/model"

    def tokenizer_folder(self, model: str) -> str:
        """A tokenizer does not change by fine-tuning, and the token table need not wait for it."""
        return f"{self.root}/base/{model}/model" if model in self.trained else self.folder(model)

    def run_folder(self, model: str, split: str, run: str) -> str:
        return f"{self.root}/unlearn/{model}/{split}/{run}"

    def search_table(self, model: str, split: str, method: str, file: str) -> str:
        return f"{self.root}/search/{model}/{split}/{method}/{file}"

    def measured_model(self, model: str, run: str) -> str:
        """Folder of a measured model: `full`, a retain split, or `<split>/<method>/seed<n>`."""
        if run in ["full", *self.retains]:
            return self.folder(model, run)
        return f"{self.root}/unlearn/{model}/{run}/model"

    def split_of(self, data: str) -> str | None:
        """The split whose retained rows a model is fine-tuned on; None for all rows."""
        return next((split for split, name in self.retain_names.items() if name == data), None)

    def measured_splits(self, run: str) -> list[str]:
        """Forget splits whose rows a measured model is asked about."""
        first = run.split("/")[0]
        return self.splits if run == "full" else [s for s in self.splits if first in (s, self.retain_names.get(s))]

    def measured(self, model: str, split: str, who: str, table: str = "tokens") -> str:
        """Where a table measured on a model lies; `who` is full, retain or a run.

        A run is measured where it is trained. If its model was kept and what is measured has changed since (`measure`
        and `prompt` of the config, the splits, the code), it is measured again by `measure`, and not trained again.
        """
        if who in ("full", "retain"):
            data = "full" if who == "full" else self.retain_names[split]
            return f"{self.root}/measure/{model}/{data}/{table}.parquet"
        own = Path(self.run_folder(model, split, who))
        outdated = self.study.keep_models and (own / "model").is_dir() and not self._is_current(own / "tokens.parquet")
        return f"{self.root}/measure/{model}/{split}/{who}/{table}.parquet" if outdated else f"{own}/{table}.parquet"

    def _is_current(self, path: Path) -> bool:
        return not path.is_file() or read_provenance(path).get("measurement") == self.measurement

    @cached_property
    def measurement(self) -> str:
        return measurement(self.study)

    # --- parameters

    def section(self, name: str) -> Any:
        """A section of the config as plain data."""
        return copy.deepcopy(self._dump[name])

    @cached_property
    def _dump(self) -> dict[str, Any]:
        return self.study.model_dump(mode="json")

    def method(self, name: str) -> dict | None:
        """A method as configured; None for a swept one: its search says what it is."""
        return None if name in self.swept else self.section("methods")[name]

    def epochs(self) -> dict | None:
        """What of the section `measure` decides what is measured while a run is trained; None if nothing is."""
        settings = self.section("measure")
        if not settings["every"]:
            return None
        del settings["precision"]  # that of the training
        if settings["suite"] == "cheap":
            del settings["max_new_tokens"]
        return settings

    def run_measurement(self) -> str | None:
        """What trains a run again although only its measurement has changed, as must be where no model is kept."""
        return None if self.study.keep_models else self.measurement

    def run_tables(self) -> list[str]:
        """Tables that a run writes beside its model."""
        tables = ["log", "weights", "tokens", "generations"]
        return tables + ["epoch_tokens", "epoch_generations"] * (self.study.measure.every > 0)

    def refusals(self, name: str) -> str | None:
        """Only for methods that read them: other lines must not train the rest again."""
        return self.study.refusals if self.study.methods[name].objective.refusals else None

    def forms(self) -> list[dict]:
        """Forms of the token table, as sections: those asked for, then those that methods need."""
        return [{form.prefix: form.model_dump(mode="json")} for form in self.study.all_forms()]

    def noise(self) -> dict:
        return (self.study.embedding_noise or EmbeddingNoiseConfig()).model_dump()

    def checkpoint(self, model: str, data: str) -> dict:
        checkpoints = self.study.models[model].model_dump(mode="json")
        return checkpoints["full"] if data == "full" else checkpoints["retain"][data]

    # --- inputs

    @cached_property
    def weigh_stages(self) -> list[str]:
        """What the token table that figures read is joined from: parser and noise only where they are needed."""
        needed = stages_of(column for m in self.study.variants().values() for column in weight_columns(m))
        stages = ["annotate", "score", *(stage for stage in needed if stage not in ("annotate", "score"))]
        noise = self.study.embedding_noise is not None and "embedding_noise" not in stages
        return stages + ["embedding_noise"] * noise

    def chosen(self, places: Iterable[tuple[str, str]], methods: Iterable[str] | None = None) -> list[str]:
        methods = self.swept if methods is None else list(methods)
        return [self.search_table(*place, name, "chosen.json") for place in places for name in methods]

    def training_inputs(self, model: str, split: str, name: str) -> dict[str, Any]:
        """What every run of a method reads: data, starting model, token table, what is kept of the starting model."""
        method = self.study.methods[name]
        inputs: dict[str, Any] = {
            "data": self.data(),
            "model": self.folder(model),
            "tables": [self.stage(stage, model, split) for stage in self._training_stages[name]],
            **{
                f"kept_{what}": f"{self.root}/reference/{model}/{split}/{kept}.safetensors"
                for what, kept in method.kept().items()
            },
        }
        if method.objective.refusals:
            inputs["refusals"] = self.stage("refuse", model, split)
        return inputs

    @cached_property
    def _training_stages(self) -> dict[str, list[str]]:
        """Method -> stages of the token table that its runs read, whatever its search chooses."""
        found = {}
        for name, method in self.study.methods.items():
            variants = method.points().values() or [method]
            found[name] = stages_of(c for m in variants for c in training_columns(m)) or ["tokens"]
        return found

    def run_inputs(self, model: str, split: str, name: str) -> dict[str, Any]:
        inputs = self.training_inputs(model, split, name) | {"code": self._run_code[name]}
        if name in self.swept:
            inputs["chosen"] = self.search_table(model, split, name, "chosen.json")
        return inputs

    def search_inputs(self, model: str, split: str, name: str) -> dict[str, Any]:
        return self.training_inputs(model, split, name) | {
            "reference_tokens": self.references(model, split, "tokens"),
            "reference_generations": self.references(model, split, "generations"),
            "code": self.code("search", *part_files(self.study.methods[name])),
        }

    def references(self, model: str, split: str, table: str) -> list[str]:
        """Measured tables of the reference models."""
        return [self.measured(model, split, who, table) for who in self.study.task.references]

    def results(self, table: str) -> list[str]:
        """A table of `evaluate` at every place."""
        return [f"{self.root}/evaluate/{model}/{split}/{table}.parquet" for model, split in self.places()]

    def model_sources(self) -> list[str]:
        """What is recorded of where models come from."""
        data = ["full", *self.retains]
        return [f"{self.root}/base/{model}/source.json" for model in self.trained] + [
            f"{self.root}/checkpoint/{model}/{name}/source.json" for model in self.fetched for name in data
        ]

    def files(self, folder: str | None, pattern: str = "*") -> list[str]:
        """The user's own files are inputs, too. A folder that is not there is reported by the job, with the key."""
        return [] if folder is None else sorted(str(path) for path in Path(folder).glob(pattern) if path.is_file())

    def label_files(self) -> list[str]:
        return [label["path"] for label in self.section("labels").values() if "path" in label]

    # --- code

    def code(self, rule: str, *more: Path) -> list[str]:
        """Files of the package that decide what a rule's script does, with further modules that it finds by name."""
        return list(map(relpath, closure([self.scripts / f"{rule}.py", *more])))

    @cached_property
    def _run_code(self) -> dict[str, list[str]]:
        return {name: self.run_code(name) for name in self.methods}

    def run_code(self, name: str) -> list[str]:
        """Code of a run. Where models are kept, what only measures them is left out: see `measured`."""
        parts = part_files(self.study.methods[name])
        files = closure([self.scripts / "unlearn.py", *parts])
        if self.study.keep_models:
            training = closure([*module("training.unlearn", "training.reference", "models.sources"), *parts])
            only_measured = set(closure(module("evaluation.measure", "evaluation.sets"))) - set(training)
            files = [path for path in files if path not in only_measured]
        return list(map(relpath, files))

    def notebook_code(self, name: str) -> list[str]:
        notebook = self.scripts.parents[1] / "notebooks" / f"{name}.ipynb"
        return list(map(relpath, closure([notebook])))

    def weighting_files(self) -> set[Path]:
        """Files of all weightings of the study."""
        return set().union(*(part_files(method.weighting) for method in self.study.methods.values()))

    def label_code(self) -> list[Path]:
        return module(*sorted({f"labels.{label.source}" for label in self.study.labels.values()}))

    def benchmark_code(self) -> list[Path]:
        return module(f"benchmarks.{self.study.benchmark.name}")

    # --- figures and tables

    def exhibits(self) -> list[Exhibit]:
        return [exhibit for exhibit in EXHIBITS.values() if exhibit.when(self.study)]

    def exhibit_code(self, exhibit: Exhibit) -> list[str]:
        files = module(f"{exhibit.package}.{exhibit.name}")
        if "configured" in exhibit.settings:
            files += set().union(*map(part_files, self.study.methods.values()))
        if "task" in exhibit.settings:
            files += self.benchmark_code()
        return list(map(relpath, closure(files)))

    def exhibit_keys(self, exhibit: Exhibit) -> list[str]:
        """Wildcards of the exhibit's jobs."""
        return [] if exhibit.per == "study" else exhibit.per.split("/")

    def exhibit_places(self, exhibit: Exhibit, wildcards: dict[str, str]) -> list[tuple[str, str]]:
        return self.places(wildcards.get("model"), wildcards.get("split"))

    def exhibit_inputs(self, exhibit: Exhibit, wildcards: dict[str, str]) -> dict[str, list[str]]:
        """Key of `Exhibit.reads` -> its files, in the order of the job's places."""
        places = self.exhibit_places(exhibit, wildcards)
        methods = [wildcards["method"]] if "method" in wildcards else self.swept
        inputs = {key: SOURCES[key](self, places, methods) for key in exhibit.reads}
        return inputs | {"code": self.exhibit_code(exhibit)}

    def exhibit_settings(self, exhibit: Exhibit) -> dict[str, Any]:
        """Key of `Exhibit.settings` -> its value."""
        return {key: SETTINGS[key](self) for key in exhibit.settings}

    def exhibit_stems(self, exhibit: Exhibit, wildcards: dict[str, str]) -> dict[str, str]:
        """Part -> path without suffix, for one job."""
        return {
            output.part: f"{self.root}/{_stem(exhibit, output.part)}".format(**wildcards) for output in exhibit.outputs
        }

    def targets(self) -> list[str]:
        """All figures and tables, one file of each job."""
        found = []
        for exhibit in self.exhibits():
            first = exhibit.outputs[0]
            path = f"{self.root}/{_stem(exhibit, first.part)}.{SUFFIXES[first.kind][0]}"
            found += [path.format(**place) for place in self._jobs(exhibit)]
        return found

    def _jobs(self, exhibit: Exhibit) -> list[dict[str, str]]:
        match exhibit.per:
            case "study":
                return [{}]
            case "split":
                return [{"split": split} for split in self.splits]
            case "model/split":
                return [{"model": model, "split": split} for model, split in self.places()]
            case "method":
                return [{"method": name} for name in self.temperature_sweeps]

    @cached_property
    def temperature_sweeps(self) -> list[str]:
        """Methods whose search goes through ETW's temperature."""
        return [
            name
            for name in self.swept
            if "entropy" in self.study.methods[name].model_dump()["weighting"]
            and "weighting.temperature" in self.study.methods[name].sweep
        ]


def _stem(exhibit: Exhibit, part: str) -> str:
    """`main/runs`, `etw_fig9/{model}/{split}.tokens`."""
    if exhibit.per == "study":
        return f"{exhibit.name}/{part or exhibit.name}"
    return f"{exhibit.stem}.{part}" if part else exhibit.stem


def exhibit_outputs(exhibit: Exhibit) -> list[tuple[str, str, str, bool]]:
    """(name, path below results/<study>/, title, in the report?) of every file of an exhibit."""
    found = []
    for output in exhibit.outputs:
        for suffix in SUFFIXES[output.kind]:
            shown = suffix == SUFFIXES[output.kind][0] or suffix == "csv"
            title = output.title + (" (CSV)" if suffix == "csv" else "")
            name = "_".join(filter(None, [output.part, suffix]))
            found.append((name, f"{_stem(exhibit, output.part)}.{suffix}", title, shown))
    return found


# ---------------------------------------------------------------------------------------------- declared reads

Places = list[tuple[str, str]]

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
