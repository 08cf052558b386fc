"""What the rules read, what they are told, and which code decides their results."""

import copy
from collections.abc import Iterable
from functools import cached_property
from os.path import relpath
from pathlib import Path
from typing import Any

from lethe.config import EmbeddingNoiseConfig, Study
from lethe.plan.closure import closure, module, part_files
from lethe.plan.paths import Paths
from lethe.plan.stages import stages_of, training_columns, weight_columns


class Plan(Paths):
    """Inputs and parameters of a study's rules; names and paths are those of `Paths`.

    Args:
        study: the validated config.
        scripts: folder of the rules' scripts.
    """

    def __init__(self, study: Study, scripts: Path):
        super().__init__(study)
        self.scripts = scripts

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
