"""What is kept of the starting model for retain terms that compare with it: hidden states, not a second model.

Its predictions on the retain tokens are `hidden @ head.T`; storing the two factors is exact and small
(retain90 of TOFU with hidden size 2,048: about 1.2 GB in fp32, against 5 GB of weights and a forward pass per step).
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from lethe.forward import Cost, Question, answer_hidden
from lethe.io import atomic
from lethe.models import head_weight
from lethe.prompts import Example
from lethe.unlearn import Reference


def compute(model: PreTrainedModel, examples: list[Example], dtype: torch.dtype | None) -> Reference:
    """Hidden states of the starting model that predict each retain token; fp32, on the CPU."""
    questions = [Question(e.prompt, [e.answer]) for e in examples]
    hidden = {}
    for keys, lengths, states, _ in answer_hidden(model, questions, 4096, dtype, Cost()):
        for (q, _), part in zip(keys, states.float().cpu().split(lengths), strict=True):
            hidden[examples[q].sample] = part.clone()
    return Reference(hidden, head_weight(model).detach().float().cpu().clone())


def save(reference: Reference, path: str | Path) -> None:
    """Write as safetensors; key `head` and one key per sample."""
    with atomic(path) as temporary:
        save_file(
            {"head": reference.head.contiguous(), **{f"hidden/{k}": v for k, v in reference.hidden.items()}},
            temporary,
        )


def read(path: str | Path) -> Reference:
    """Read what `save` wrote."""
    tensors = load_file(path)
    head = tensors.pop("head")
    return Reference({key.removeprefix("hidden/"): value for key, value in tensors.items()}, head)
