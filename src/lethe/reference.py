"""What is kept of the starting model for methods that compare with it: hidden states, not a second model.

Its predictions on a set of tokens are `hidden @ head.T`; storing the two factors is exact and small
(retain90 of TOFU with hidden size 2,048: about 1.2 GB in fp32, against 5 GB of weights and a forward pass per step).
What is kept has a name: `retain` or `forget` for the last hidden states on those rows, `retain-layer7` for a layer's.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from lethe.config import MethodConfig
from lethe.device import autocast
from lethe.io import atomic
from lethe.models import head_weight, hidden_states
from lethe.prompts import Example
from lethe.train import collate
from lethe.unlearn import Reference

ROWS_PER_PASS = 16


def kept_for(method: MethodConfig) -> dict[str, str]:
    """What a method needs kept: `retain` and `forget` (fields of `lethe.unlearn.Starting`) -> name; often nothing."""
    kept = {}
    if method.retain.reference:
        kept["retain"] = "-".join(["retain", *(f"layer{layer}" for layer in method.retain.layers())])
    if method.objective.teacher:
        kept["forget"] = "forget"
    return kept


def layer_of(name: str) -> int | None:
    """Layer in the name of what is kept; None for the last hidden states."""
    _, _, layer = name.partition("-layer")
    return int(layer) if layer else None


@torch.no_grad()  # not inference_mode: what is kept takes part in autograd graphs later
def compute(
    model: PreTrainedModel, examples: list[Example], dtype: torch.dtype | None, layer: int | None = None
) -> Reference:
    """Hidden states of the starting model that predict each answer token; fp32, on the CPU."""
    device = next(model.parameters()).device
    kept = {}
    ordered = sorted(examples, key=len)
    for start in range(0, len(ordered), ROWS_PER_PASS):
        part = ordered[start : start + ROWS_PER_PASS]
        ids, sequence, position, _ = collate(part, device)
        with autocast(device, dtype):
            last, inner = hidden_states(model, ids, layer)
        states = (last if layer is None else inner)[sequence, position].float().cpu()
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
