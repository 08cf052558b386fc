"""How a question becomes a prompt, and how a model is trained on it."""

from typing import Literal

from pydantic import Field

from lethe.config.section import Precision, Section


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
