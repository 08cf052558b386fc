"""The study's configuration: typed, with defaults, descriptions and errors that name the key and the fix.

Config is science (data, models, methods, seeds, hyper-parameters); threads, memory, partitions and retries belong to
profiles. `workflow/schemas/config.schema.json` is generated from these classes; a test catches drift.

    python -m lethe.config schema > workflow/schemas/config.schema.json
    python -m lethe.config check config.yaml
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from lethe.benchmarks import BenchmarkConfig
from lethe.config.errors import explain
from lethe.config.evaluation import EmbeddingNoiseConfig, EvaluateConfig, FiguresConfig, MeasureConfig
from lethe.config.labels import GoldLabels, KeywordLabels, LabelConfig, ParserConfig, SpacyLabels, SpanFileLabels
from lethe.config.methods import MethodConfig, SelectionConfig
from lethe.config.models import (
    CheckpointConfig,
    CheckpointsConfig,
    FolderConfig,
    GgufConfig,
    HubConfig,
    ModelConfig,
    ScratchConfig,
)
from lethe.config.section import Section
from lethe.config.study import FormList, Study
from lethe.config.training import LoraConfig, PromptConfig, TrainingConfig
from lethe.errors import ConfigError
from lethe.methods.forms import Form

__all__ = [
    "BenchmarkConfig",
    "CheckpointConfig",
    "CheckpointsConfig",
    "EmbeddingNoiseConfig",
    "EvaluateConfig",
    "FiguresConfig",
    "FolderConfig",
    "FormList",
    "GgufConfig",
    "GoldLabels",
    "HubConfig",
    "KeywordLabels",
    "LabelConfig",
    "LoraConfig",
    "MeasureConfig",
    "MethodConfig",
    "ModelConfig",
    "ParserConfig",
    "PromptConfig",
    "ScratchConfig",
    "Section",
    "SelectionConfig",
    "SpacyLabels",
    "SpanFileLabels",
    "Study",
    "TrainingConfig",
    "json_schema",
    "load",
    "load_file",
    "read_benchmark",
    "read_forms",
    "read_labels",
    "read_model",
]


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


def read_benchmark(benchmark: Mapping[str, Any]) -> Section:
    """A benchmark's section."""
    return TypeAdapter(BenchmarkConfig).validate_python(benchmark)


def read_forms(forms: list) -> list[Form]:
    """Forms from their sections."""
    return TypeAdapter(FormList).validate_python(forms)


def read_model(model: Mapping[str, Any]) -> ModelConfig:
    """A model's source from its section."""
    return TypeAdapter(ModelConfig).validate_python(model)


def read_labels(labels: Mapping[str, Any]) -> dict[str, LabelConfig]:
    """Label sources from their sections."""
    return TypeAdapter(dict[str, LabelConfig]).validate_python(labels)


def json_schema() -> str:
    """The JSON schema of a config, as committed under workflow/schemas/."""
    schema = Study.model_json_schema()
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"
