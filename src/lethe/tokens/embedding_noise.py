"""How far passes of the starting model under embedding noise disagree about a token: mutual information.

Asked for by ETW's reviewers (docs/choices.md#functional-forms). The entropy of a prediction is high where many words
would do and where the model does not know; disagreement between noisy passes is meant to show the second alone.
Llama-like models have no dropout, so the input embeddings get Gaussian noise.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm
from transformers import PreTrainedModel

from lethe.methods.kernel import chunk_rows
from lethe.methods.logits import entropy_of, log_softmax
from lethe.models.device import autocast
from lethe.models.prompts import Example
from lethe.models.states import ROWS_PER_PASS, answer_states, by_length, head_weight
from lethe.tokens.table import token_keys


@torch.inference_mode()
def noisy_information(
    model: PreTrainedModel, examples: list[Example], passes: int, scale: float, seed: int, dtype: torch.dtype | None
) -> pd.DataFrame:
    """Mutual information of each answer token's prediction and the noise that it is made under.

    I = H(mean_k p_k) − mean_k H(p_k) over K = `passes` teacher-forced passes, full vocabulary, T = 1. Noise is added to
    prompt and answer alike.

    Args:
        model: the starting model, in eval mode.
        examples: tokenised rows.
        passes: K ≥ 2.
        scale: standard deviation of the noise, in units of the root mean square of a row's own embeddings.
        seed: fixes the noise, together with pass and sample; batching and device do not change it.
        dtype: autocast dtype of the model's body, or None; the softmax is fp32.

    Returns:
        Columns sample, position, token_id, mutual_information (nats; rounding may leave −1e-6), in the examples' order.
    """
    device = next(model.parameters()).device
    found: list[np.ndarray] = [np.empty(0)] * len(examples)
    for part in tqdm(list(by_length(examples, np.arange(len(examples)), ROWS_PER_PASS)), unit="batch", disable=None):
        rows = [examples[i] for i in part]
        hidden = []
        for k in range(passes):
            with _noisy(model, rows, scale, seed, k), autocast(device, dtype):
                states = answer_states(model, rows)
            hidden.append(states.hidden.float())
        information = mutual_information(hidden, head_weight(model)).cpu()
        for i, own in zip(part, information.split([len(row.answer) for row in rows]), strict=True):
            found[i] = own.numpy()
    keys = token_keys([example.sample for example in examples], [example.answer for example in examples])
    return pd.DataFrame(keys | {"mutual_information": np.concatenate(found)})


def mutual_information(hidden: list[Tensor], head: Tensor, chunk: int | None = None) -> Tensor:
    """H(mean_k p_k) − mean_k H(p_k) of p_k = softmax(hidden_k @ head.T), nats, [N] fp32.

    Args:
        hidden: one [N, H] per pass, fp32.
        head: [V, H] weight of the output layer.
        chunk: rows per chunk; at most four `chunk × V` arrays exist at a time, whatever the number of passes.
    """
    head, information = head.float(), hidden[0].new_empty(len(hidden[0]))
    chunk = chunk or chunk_rows(len(head))
    for start in range(0, len(information), chunk):
        part = slice(start, start + chunk)
        mean: Tensor | float = 0.0
        entropy: Tensor | float = 0.0
        for states in hidden:
            log_p = log_softmax(states[part] @ head.T)  # [c, V]
            mean = mean + log_p.exp() / len(hidden)
            entropy = entropy + entropy_of(log_p) / len(hidden)
        information[part] = torch.special.entr(mean).sum(-1) - entropy
    return information


def noise(example: Example, width: int, seed: int, k: int) -> Tensor:
    """[tokens, width] standard normal numbers of a row in pass k, on the CPU: the same on every device."""
    generator = np.random.default_rng([seed, k, *example.sample.encode()])
    return torch.from_numpy(generator.standard_normal((len(example), width), dtype=np.float32))


@contextmanager
def _noisy(model: PreTrainedModel, rows: list[Example], scale: float, seed: int, k: int) -> Iterator[None]:
    """Within the block, the input embeddings of the rows, padded to a common width, carry the noise of pass k."""
    handle = model.get_input_embeddings().register_forward_hook(_adding(rows, scale, seed, k))
    try:
        yield
    finally:
        handle.remove()


def _adding(rows: list[Example], scale: float, seed: int, k: int) -> Callable[..., Tensor]:
    def add(module: torch.nn.Module, inputs: tuple, embedded: Tensor) -> Tensor:
        noisy = embedded.clone()  # [B, S, H]
        for own, row in zip(noisy, rows, strict=True):
            real = own[: len(row)]  # a view; what follows is padding
            deviation = scale * real.float().square().mean().sqrt()
            real += (deviation * noise(row, own.shape[-1], seed, k).to(own.device)).to(own.dtype)
        return noisy

    return add
