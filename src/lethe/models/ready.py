"""A stored model made ready to be run, not trained: what every job that scores or generates begins with."""

from pathlib import Path
from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from lethe.config import PromptConfig
from lethe.models.device import autocast_dtype, choose_device
from lethe.models.prompts import Encoder
from lethe.models.sources import context_length, load, place
from lethe.script import limit_threads


class Ready(NamedTuple):
    model: PreTrainedModel
    """In eval mode, without gradients, on its device."""
    encoder: Encoder
    """Of the model's own tokenizer; its rows fit the model's positions."""
    dtype: torch.dtype | None
    """Autocast dtype of the model's body; None is fp32."""


def ready(folder: str | Path, prompt: PromptConfig, precision: str, gpus: int) -> Ready:
    """Load a model folder and place the model.

    Args:
        folder: of model and tokenizer, as `sources.save` leaves it.
        prompt: how a question becomes a prompt.
        precision: `auto`, `float32` or `bfloat16`.
        gpus: granted by the scheduler; 0 is the CPU.
    """
    model, tokenizer = load(folder)
    encoder = Encoder(tokenizer, prompt, context_length(model.config))
    device = choose_device(gpus)
    dtype = autocast_dtype(precision, device)
    return Ready(place(model, device, dtype), encoder, dtype)


def ready_for(snakemake) -> Ready:
    """`ready` for a rule with input `model`, parameters `prompt` and `precision`, and as many threads as it is given.

    Args:
        snakemake: the object that Snakemake puts into a script.
    """
    limit_threads(snakemake.threads)
    params = snakemake.params
    return ready(snakemake.input.model, PromptConfig(**params.prompt), params.precision, snakemake.resources.gpu)
