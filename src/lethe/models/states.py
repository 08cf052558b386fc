"""From tokenised rows to the hidden states that predict their answer tokens: how a body is run on whole rows.

The vocabulary is not touched here: `lethe.methods.kernel` takes hidden states and the head, chunk by chunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from lethe.errors import InputError
from lethe.models.prompts import Example

ROWS_PER_PASS = 16


@dataclass
class AnswerStates:
    """Hidden states of B rows and where their N answer tokens are predicted.

    Attributes:
        all: [B, S, H] last hidden states of every position.
        sequence: [N] int64, row of each answer token, non-decreasing.
        position: [N] int64, the position in S that predicts it.
        targets: [N] int64, token ids.
        hidden: [N, H] last hidden states that predict the tokens.
        layer_hidden: [N, H] output of the decoder layer that was asked for, at the same positions; None without.
    """

    all: Tensor
    sequence: Tensor
    position: Tensor
    targets: Tensor
    hidden: Tensor
    layer_hidden: Tensor | None


def answer_states(model: PreTrainedModel, examples: list[Example], layer: int | None = None) -> AnswerStates:
    """Run a model's body once on some rows, on the model's device; precision and gradients are the caller's."""
    ids, sequence, position, targets = collate(examples, next(model.parameters()).device)
    last, inner = hidden_states(model, ids, layer)
    at_layer = None if inner is None else inner[sequence, position]
    return AnswerStates(last, sequence, position, targets, last[sequence, position], at_layer)


def collate(examples: list[Example], device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pad rows on the right and list their loss-bearing tokens.

    No attention mask is made: under causal attention a real token never sees the padding behind it, so no id has to
    be given up as a padding id.

    Returns:
        input_ids [B, S]; sequence [N], row of each token; position [N], the position that predicts it; targets [N].
    """
    width = max(len(example) for example in examples)
    ids = torch.zeros((len(examples), width), dtype=torch.long)
    sequence, position, targets = [], [], []
    for row, example in enumerate(examples):
        ids[row, : len(example)] = torch.tensor(example.prompt + example.answer)
        first = len(example.prompt) - 1
        sequence += [row] * len(example.answer)
        position += range(first, first + len(example.answer))
        targets += example.answer
    return tuple(x.to(device) for x in (ids, torch.tensor(sequence), torch.tensor(position), torch.tensor(targets)))


def by_length(examples: list[Example], rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Cut row numbers into passes of rows of similar length, so that little is padded."""
    ordered = np.array(sorted(rows, key=lambda row: len(examples[row])), dtype=int)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def head_weight(model: PreTrainedModel) -> Tensor:
    """[V, H] weight of the output layer."""
    return model.get_output_embeddings().weight


def hidden_states(model: PreTrainedModel, ids: Tensor, layer: int | None = None) -> tuple[Tensor, Tensor | None]:
    """Last hidden states [B, S, H], and the output of a decoder layer [B, S, H] if one is asked for (else None).

    Raises:
        InputError: if the model has no such layer, or it is the last one, whose output is only kept normalised.
    """
    layers = model.config.get_text_config().num_hidden_layers
    if layer is not None and layer >= layers - 1:
        raise InputError(
            f"{type(model).__name__}: layer {layer} asked for, but a method can read layers 0 to {layers - 2}; "
            "correct `layer` of the objective and of the retain term."
        )
    output = model.base_model(ids, use_cache=False, output_hidden_states=layer is not None)
    return output.last_hidden_state, None if layer is None else output.hidden_states[layer + 1]
