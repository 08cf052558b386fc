"""The whole config, and what must fit together across its parts."""

import re
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from lethe.benchmarks import BENCHMARKS, Benchmark, BenchmarkConfig
from lethe.config.errors import explain
from lethe.config.evaluation import EmbeddingNoiseConfig, EvaluateConfig, FiguresConfig, MeasureConfig
from lethe.config.labels import GoldLabels, KeywordLabels, LabelConfig, ParserConfig
from lethe.config.methods import MethodConfig, Range, SelectionConfig
from lethe.config.models import CheckpointsConfig, ModelConfig, ScratchConfig
from lethe.config.section import Name, Section
from lethe.config.training import PromptConfig, TrainingConfig
from lethe.methods.forms import FORMS, Form, entropy_column
from lethe.methods.part import choice, suggest

FormList = list[choice(FORMS, "form", Form)]


class Study(Section):
    """A study of token-level unlearning, from data to figures."""

    study: Name = Field(description="Name of the study: results go to results/<study>/.")
    seed: int = Field(0, ge=0, description="Fixes generated data, initialisation, fine-tuning and data order.")
    benchmark: BenchmarkConfig = Field(description="What is learned and what of it is to be forgotten.")
    splits: list[Name] = Field(["forget10"], min_length=1, description="Forget splits, e.g. forget10.")
    labels: dict[Name, LabelConfig] = Field(
        {"gold": {"source": "gold"}},
        min_length=1,
        validate_default=True,
        description="Sources of `informative` labels.",
    )
    temperatures: list[Annotated[float, Field(gt=0)]] = Field(
        [1.0],
        description="Temperatures at which the token table stores entropies, beside those that methods need.",
    )
    forms: FormList = Field(
        [], description="Other spreads of the prediction that the token table stores, beside those that methods need."
    )
    embedding_noise: EmbeddingNoiseConfig | None = Field(
        None, description="Store mutual information in the token table; null: only if a method weighs with it."
    )
    parser: ParserConfig = Field(default_factory=ParserConfig, description="Parser of the weightings that need one.")
    refusals: str | None = Field(
        None, description="Text file with one \"I don't know\" answer per line, for idk_dpo; null: Lethe's own lines."
    )
    models: dict[Name, ModelConfig] = Field(
        min_length=1, description="Models by name; each goes through the whole study."
    )
    prompt: PromptConfig = Field(default_factory=PromptConfig, description="How a question becomes a prompt.")
    finetune: TrainingConfig = Field(
        default_factory=TrainingConfig,
        description="Base to `full` (forget + retain) and to each retain model.",
    )
    finetune_temperatures: list[Annotated[float, Field(gt=0)]] = Field(
        [0.5, 1.0, 2.0, 3.0, 5.0],
        min_length=1,
        description="Temperatures of the entropies recorded at each epoch while the full model is fine-tuned "
        "(etw_memorisation); a change fine-tunes it again.",
    )
    unlearn: TrainingConfig = Field(default_factory=TrainingConfig, description="Default of every method.")
    methods: dict[Name, MethodConfig] = Field(min_length=1, description="Unlearning methods by name.")
    selection: SelectionConfig = Field(
        default_factory=SelectionConfig, description="How a swept method's configuration is chosen."
    )
    seeds: list[Annotated[int, Field(ge=0)]] = Field([0], min_length=1, description="Seeds of the unlearning runs.")
    keep_models: bool = Field(True, description="Keep unlearned weights; false deletes them once they are measured.")
    measure: MeasureConfig = Field(
        default_factory=MeasureConfig, description="What is measured, and on how many rows; a change measures again."
    )
    evaluate: EvaluateConfig = Field(
        default_factory=EvaluateConfig, description="How metrics are computed from what was measured."
    )
    compare: Name | None = Field(
        None, description="Method that the table of significance compares with each other one; null: no such table."
    )
    tokens_per_batch: int = Field(
        4096, ge=1, description="Padded tokens per forward pass of a measurement; speed and memory, not values."
    )
    figures: FiguresConfig = Field(
        default_factory=FiguresConfig, description="Choices of presentation; they rerun figures only."
    )

    @property
    def task(self) -> Benchmark:
        """What the benchmark's section chooses: its sets, metrics, names."""
        return BENCHMARKS[self.benchmark.name]

    @property
    def has_retain_models(self) -> bool:
        """Whether models are held against ones that never saw the forget rows."""
        return self.task.has_retain_models

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        for name, method in self.methods.items():
            self._check_method(name, method)
        for name, model in self.models.items():
            self._check_model(name, model)
        for name, label in self.labels.items():
            if isinstance(label, GoldLabels) and not self.task.has_gold_spans:
                raise ValueError(
                    f"labels.{name}: rows of the benchmark '{self.task.name}' carry no gold spans; use source spacy, "
                    "span_file or keywords, and name it in figures.label"
                )
            if isinstance(label, KeywordLabels):
                self._check_split(f"labels.{name}.split", label.split)
        for place, split in enumerate(self.splits):
            self._check_split(f"splits.{place}", split)
        limits = {"limits": self.measure.limits, "during": self.measure.during}
        for key, sets in limits.items():
            for unknown in sets.keys() - self.task.sets.keys():
                raise ValueError(
                    f"measure.{key}.{unknown}: unknown key{suggest(unknown, self.task.sets)}; remove it or correct "
                    f"its name (known: {', '.join(self.task.sets)})"
                )
        if self.figures.label not in self.labels:
            raise ValueError(f"figures.label: '{self.figures.label}' is not in `labels` ({', '.join(self.labels)})")
        if self.compare is not None and self.compare not in self.methods:
            raise ValueError(f"compare: '{self.compare}' is not in `methods` ({', '.join(self.methods)})")
        lists = {"splits": self.splits, "seeds": self.seeds, "finetune_temperatures": self.finetune_temperatures}
        for key, values in lists.items():
            if len(set(values)) != len(values):
                raise ValueError(f"{key}: {values} names one twice")
        if self.selection.seed in self.seeds and any(method.sweep for method in self.methods.values()):
            raise ValueError(
                f"selection.seed: {self.selection.seed} is one of `seeds`; a search must not look at the runs that are "
                "reported, choose another"
            )
        return self

    def _check_split(self, key: str, split: str) -> None:
        if not re.match(self.task.split_names, split):
            raise ValueError(
                f"{key}: '{split}' is no split of the benchmark '{self.task.name}'; names are like "
                f"{self.task.split_example}"
            )

    def _check_method(self, name: str, method: MethodConfig) -> None:
        if name in ("full", "retain"):
            raise ValueError(f"methods.{name}: the name is taken by a reference model; choose another")
        try:
            points = method.points()
        except ValueError as error:
            lines = [f"methods.{name}.{line.strip()}" for line in str(error).splitlines()]
            raise ValueError("\n".join(lines)) from None
        self._check_ranges(name, method)
        if len({variant.retain.reads_layer() for variant in points.values()}) > 1:
            raise ValueError(
                f"methods.{name}.sweep.retain.layer: what is kept of the starting model depends on it; write one "
                "method for each layer"
            )
        self._check_variant(f"methods.{name}", method)
        for point, variant in points.items():
            self._check_variant(f"methods.{name}.sweep ({point})", variant)

    def _check_ranges(self, name: str, method: MethodConfig) -> None:
        for key, values in method.sweep.items():
            if not isinstance(values, Range):
                continue
            if self.selection.trials is None:
                raise ValueError(f"methods.{name}.sweep.{key}: a range needs `selection.trials`; or write a list")
            # The token table holds what a weighting reads, at every value that may be chosen.
            if key.startswith("weighting.") and values.step is None:
                raise ValueError(
                    f"methods.{name}.sweep.{key}: a range of the weighting needs a `step`; or write a list"
                )

    def tried(self, name: str) -> int:
        """Configurations of a method that a search tries; 1 without a search."""
        method = self.methods[name]
        return (self.selection.trials or len(method.grid())) if method.sweep else 1

    def _check_variant(self, key: str, method: MethodConfig) -> None:
        try:
            self.training_of(method)
        except ValidationError as error:
            raise ValueError(explain(error, TrainingConfig, method.training, f"{key}.training").strip()) from None
        layers = {method.objective.reads_layer(), method.retain.reads_layer()} - {None}
        if len(layers) > 1:
            raise ValueError(
                f"{key}: objective and retain term read different layers {sorted(layers)}; give both the same `layer`"
            )
        for column in method.weighting.columns():
            label = column.removeprefix("informative_")
            if label != column and label not in self.labels:
                raise ValueError(
                    f"{key}.weighting: label source '{label}' is not in `labels` ({', '.join(self.labels)})"
                )
            if label == column and "_T" in column and column not in self._stored():
                raise ValueError(
                    f"{key}.weighting: column '{column}' is not in the token table; add its temperature to "
                    "`temperatures`, or the form to `forms`"
                )

    def _stored(self) -> list[str]:
        """Columns of the token table that hold a spread of the prediction, beside those of methods."""
        return [*map(entropy_column, {1.0, *self.temperatures}), *(form.column for form in self.forms)]

    def _check_model(self, name: str, model: ModelConfig) -> None:
        if isinstance(model, ScratchConfig) and not self.task.has_world:
            raise ValueError(
                f"models.{name}.source: the benchmark '{self.task.name}' has no `world` to train a scratch model on; "
                "use source hub, folder or gguf"
            )
        if isinstance(model, CheckpointsConfig) and self.has_retain_models:
            missing = {self.task.retain_name(split) for split in self.splits} - set(model.retain)
            if missing:
                raise ValueError(
                    f"models.{name}.retain: no checkpoint for {', '.join(sorted(missing))}; add it, or remove the "
                    "split from `splits`"
                )

    def training_of(self, method: MethodConfig) -> TrainingConfig:
        """Training of a method: `unlearn` with the method's own overrides."""
        return TrainingConfig(**{**self.unlearn.model_dump(), **method.training})

    def swept(self) -> list[str]:
        """Methods that a search configures."""
        return [name for name, method in self.methods.items() if method.sweep]

    def trained(self) -> list[str]:
        """Models that are fine-tuned here; the others come as checkpoints."""
        return [name for name, model in self.models.items() if not isinstance(model, CheckpointsConfig)]

    def form_sweeps(self) -> list[str]:
        """Swept methods whose price can be compared in `etw_forms`: ascent with a retain term, weights of one form.

        Uniform weights are what the forms are held against.
        """
        return [name for name in self.swept() if _is_form(self.methods[name])]

    def form_references(self) -> list[str]:
        """Those of them with uniform weights."""
        return [name for name in self.form_sweeps() if "uniform" in self.methods[name].model_dump()["weighting"]]

    def variants(self) -> dict[str, MethodConfig]:
        """What is trained, by name: methods without a sweep, and every point of a sweep as `<method>@<point>`."""
        variants = {}
        for name, method in self.methods.items():
            points = method.points()
            variants |= {f"{name}@{point}": config for point, config in points.items()} or {name: method}
        return variants

    def all_temperatures(self) -> list[float]:
        """Temperatures of the token table: those asked for, 1.0, and those that methods need; sorted."""
        needed = {t for method in self.variants().values() for t in method.weighting.temperatures()}
        return sorted({1.0, *self.temperatures, *needed})

    def all_forms(self) -> list[Form]:
        """Forms of the token table: those asked for, and those that methods need; by column, each once."""
        needed = [form for method in self.variants().values() for form in method.weighting.forms()]
        return list({form.column: form for form in (*self.forms, *needed)}.values())


FORM_WEIGHTINGS = {"entropy", "raw_entropy", "spread", "raw_spread", "mutual_information", "uniform"}


def _is_form(method: MethodConfig) -> bool:
    parts = method.model_dump(mode="json")
    return bool(FORM_WEIGHTINGS & set(parts["weighting"])) and "ascent" in parts["objective"] and method.retain.rows
