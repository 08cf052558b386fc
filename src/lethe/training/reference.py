"""What is kept of the starting model for methods that compare with it: hidden states, not a second model.

Its predictions on a set of tokens are `hidden @ head.T`; storing the two factors is exact and small
(retain90 of TOFU with hidden size 2,048: about 1.2 GB in fp32, against 5 GB of weights and a forward pass per step).
What is kept has a name: `retain` or `forget` for the last hidden states on those rows, `retain-layer7` for a layer's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from lethe.benchmarks.contract import Row
from lethe.benchmarks.refusals import read_lines, refuse
from lethe.io import atomic, read_table
from lethe.models.device import autocast
from lethe.models.prompts import Encoder, Example
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


def layer_of(name: str) -> int | None:
    """Layer in the name of what is kept; None for the last hidden states."""
    _, _, layer = name.partition("-layer")
    return int(layer) if layer else None


@dataclass
class Refusals:
    """One "I don't know" answer per forget row.

    Attributes:
        examples: tokenised, in the order of the forget rows.
        table: their token table with the starting model's `logprob`.
    """

    examples: list[Example]
    table: pd.DataFrame


@dataclass
class Starting:
    """What a method needs of the starting model beside the token table; what it does not ask for is absent.

    Attributes:
        retain: hidden states on the retain rows, for retain terms with `reference`.
        forget: last hidden states on the forget rows, for objectives with `teacher`.
        refusals: for objectives with `refusals`.
    """

    retain: Reference | None = None
    forget: Reference | None = None
    refusals: Refusals | None = None


def read_starting(
    kept: Mapping[str, str | Path],
    refusals: str | Path | None,
    encoder: Encoder,
    forget: list[Row],
    lines: str | None,
    seed: int,
) -> Starting:
    """What a method needs of the starting model beside the token table.

    Args:
        kept: `retain`, `forget` -> file of the `reference` rule; what the method does not need is absent.
        refusals: table of the `refuse` rule; None if the method does not need it.
        encoder: of the model.
        forget: the forget rows, in the run's order.
        lines: the study's `refusals`.
        seed: the study's seed, which fixes the refusals.
    """
    starting = Starting(**{name: read(path) for name, path in kept.items()})
    if refusals is not None:
        answers = encoder.examples(refuse(forget, read_lines(lines), seed))
        starting.refusals = Refusals(answers, read_table(refusals))
    return starting
