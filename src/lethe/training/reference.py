"""What is kept of the starting model for methods that compare with it: hidden states, not a second model.

Its predictions on a set of tokens are `hidden @ head.T`; storing the two factors is exact and small
(retain90 of TOFU with hidden size 2,048: about 1.2 GB in fp32, against 5 GB of weights and a forward pass per step).
What is kept has a name, see `lethe.training.kept`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from lethe.io import atomic
from lethe.models.device import autocast
from lethe.models.prompts import Example
from lethe.models.states import ROWS_PER_PASS, answer_states, by_length, head_weight


@dataclass
class Reference:
    """What is kept of the starting model for a set of rows: hidden states at its answer tokens.

    Attributes:
        hidden: sample id -> [answer tokens, H] hidden states that predict them, the last ones or a layer's.
        head: [V, H] weight of the output layer; None where a layer's states are kept.
    """

    hidden: dict[str, torch.Tensor]
    head: torch.Tensor | None

    def of(self, examples: list[Example], device: torch.device) -> torch.Tensor:
        """[N, H] states of the examples' answer tokens, one example after the other, fp32."""
        return torch.cat([self.hidden[example.sample] for example in examples]).to(device, torch.float32)

    def head_on(self, device: torch.device) -> torch.Tensor | None:
        """The head on a device, where it stays: it is as large as the model's own."""
        self.head = None if self.head is None else self.head.to(device)
        return self.head


@torch.no_grad()  # not inference_mode: what is kept takes part in autograd graphs later
def compute(
    model: PreTrainedModel, examples: list[Example], dtype: torch.dtype | None, layer: int | None = None
) -> Reference:
    """Hidden states of the starting model that predict each answer token; fp32, on the CPU."""
    kept = {}
    for rows in by_length(examples, np.arange(len(examples)), ROWS_PER_PASS):
        part = [examples[row] for row in rows]
        with autocast(next(model.parameters()).device, dtype):
            found = answer_states(model, part, layer)
        states = (found.hidden if layer is None else found.layer_hidden).float().cpu()
        for example, own in zip(part, states.split([len(e.answer) for e in part]), strict=True):
            kept[example.sample] = own.clone()
    return Reference(kept, head_weight(model).detach().float().cpu().clone() if layer is None else None)


def save(reference: Reference, path: str | Path) -> None:
    """Write as safetensors; key `head`, if there is one, and one key per sample."""
    with atomic(path) as temporary:
        save_file(
            ({} if reference.head is None else {"head": reference.head.contiguous()})
            | {f"hidden/{k}": v for k, v in reference.hidden.items()},
            temporary,
        )


def read(path: str | Path) -> Reference:
    """Read what `save` wrote."""
    tensors = load_file(path)
    head = tensors.pop("head", None)
    return Reference({key.removeprefix("hidden/"): value for key, value in tensors.items()}, head)
