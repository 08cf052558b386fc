"""What a method is made of: `weighting × objective × retain term`. Start here to add one.

A training step goes through three hands, and none of them looks over the other's shoulder:

1. the loop runs the model on forget rows and asks the kernel for this step's token statistics → `TokenBatch`;
2. the **weighting** turns the batch into one weight per token, detached, ω ≥ 0;
3. the **objective** turns per-token log-probabilities and weights into one loss per sequence, and knows nothing of
   where the weights come from;
then the forget graph is freed and the **retain term** is computed on retain rows.

Weightings come in three kinds, and all enter through `Weighting.start`, called once before the first step:

- *dynamic*: a function of this step's statistics. Override `weights(batch)`; `start` hands back that very method.
  Entropies at a temperature are asked for by overriding `temperatures()`.
- *static*: a column of the token table, computed before training. Derive from `StaticWeighting` and override
  `column(table, seed)`; the loop puts the values of this step's tokens into `batch.static`.
- *learned*: has parameters and a step of its own inside the loop. Override `start` and return a callable that owns
  them (a `torch.nn.Module` will do); it is called with every micro-batch, which carries detached hidden states, and
  returns the weights. It may learn there: `batch.step` tells micro-batches of one optimiser step from the next. Such a
  weighting lives in one file like the others.

A weighting is a pydantic model: its fields are its hyper-parameters, and their descriptions reach the config's schema.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

log = logging.getLogger(__name__)


@dataclass
class TokenBatch:
    """Loss-bearing tokens of one batch of forget sequences, flattened; N tokens over B sequences.

    Everything in it is detached: weights are constants to the objective (invariant 4 of ETW §2).

    Attributes:
        sequence: [N] int64, the row of the batch that a token belongs to, non-decreasing.
        n_sequences: B.
        logprob: [N] log-probability of the token under the current model, nats, fp32.
        entropy: temperature -> [N] entropy of the prediction at that temperature over the full vocabulary, nats, fp32.
        reference_logprob: [N] the same as `logprob` under the starting model, nats; from the stored token table, only
            if the objective or the weighting asks for it.
        static: [N] this weighting's own column of the token table; only for static weightings.
        hidden_states: [B, S, H] last hidden states of the current model; None outside training.
        position: [N] int64, index into S of the position that *predicts* the token; the token itself is at +1.
        step: optimiser steps completed before this batch.
    """

    sequence: Tensor
    n_sequences: int
    logprob: Tensor
    entropy: dict[float, Tensor] = field(default_factory=dict)
    reference_logprob: Tensor | None = None
    static: Tensor | None = None
    hidden_states: Tensor | None = None
    position: Tensor | None = None
    step: int = 0

    def sum_per_sequence(self, values: Tensor) -> Tensor:
        """[N] -> [B], sums over the tokens of each sequence; differentiable."""
        return values.new_zeros(self.n_sequences).index_add(0, self.sequence, values)

    def lengths(self) -> Tensor:
        """[B] number of loss-bearing tokens of each sequence, as a float tensor."""
        import torch

        return self.sum_per_sequence(torch.ones_like(self.logprob))

    def normalise(self, values: Tensor) -> Tensor:
        """Rescale [N] non-negative values so that they sum to n, the token count, within each sequence.

        A sequence whose values are all zero gets weight 1 on each token instead of dropping out in silence
        (our choice, ETW specification §2.3).
        """
        total = self.sum_per_sequence(values)[self.sequence]  # [N]
        length = self.lengths()[self.sequence]  # [N]
        empty = total <= 0
        if empty.any():
            log.warning("weights of %d tokens are all zero within their sequences; set to 1", int(empty.sum()))
        return (values * length / total.masked_fill(empty, 1.0)).masked_fill(empty, 1.0)


class Part(BaseModel):
    """A named, configurable part of a method; unknown hyper-parameters are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Weighting(Part):
    """One weight per token. Override `weights` (dynamic) or see the module docstring for the other kinds.

    Class attribute `information` names what the weights are made from, for tables and figures: any of "ground truth",
    "parser", "predictive distribution", "gold-token confidence", "reference model", "training signal", "none".
    """

    information: ClassVar[tuple[str, ...]] = ("none",)
    reference: ClassVar[bool] = False  # whether batches must carry the starting model's log-probabilities

    def temperatures(self) -> tuple[float, ...]:
        """Temperatures at which `weights` needs entropies; each is computed once per step."""
        return ()

    def start(self, seed: int, hidden_size: int) -> Callable[[TokenBatch], Tensor]:
        """Called once before training; returns what is called with every batch."""
        return self.weights

    def weights(self, batch: TokenBatch) -> Tensor:
        """[N] weights ω ≥ 0 of the tokens of a batch, fp32, detached."""
        raise NotImplementedError(f"{type(self).__name__} defines neither weights() nor start().")


class StaticWeighting(Weighting):
    """A weighting that is known before training: a column of the token table."""

    def columns(self) -> tuple[str, ...]:
        """Columns of the token table that `column` reads, beyond sample and position."""
        return ()

    def column(self, table: pd.DataFrame, seed: int) -> np.ndarray:
        """[rows of the table] weights ω ≥ 0; `seed` is the run's seed."""
        raise NotImplementedError(f"{type(self).__name__} defines no column().")

    def weights(self, batch: TokenBatch) -> Tensor:
        return batch.static


class Objective(Part):
    """A forget loss from per-token values and weights.

    `unit` says what the loss is averaged over in an effective batch: its tokens or its sequences. `reference` says
    whether the batch must carry the starting model's log-probabilities.
    """

    unit: ClassVar[Literal["token", "sequence"]]
    reference: ClassVar[bool] = False

    def losses(self, logprob: Tensor, weights: Tensor, batch: TokenBatch) -> Tensor:
        """[B] loss of each sequence, to be summed and divided by the number of tokens or sequences (`unit`).

        Args:
            logprob: [N] log-probabilities under the current model, nats, carrying gradient.
            weights: [N] weights ω, detached.
            batch: layout and reference log-probabilities; its own `logprob` carries no gradient.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no losses().")


class RetainTerm(Part):
    """A loss on retain rows that keeps what must stay.

    `rows` says whether the loop draws retain rows at all; `reference` whether it must bring the starting model's
    predictions for them.
    """

    rows: ClassVar[bool] = True
    reference: ClassVar[bool] = False

    def losses(self, tokens: RetainTokens) -> Tensor:
        """[N] loss of each retain token; the loop takes the mean over the tokens of the effective batch."""
        raise NotImplementedError(f"{type(self).__name__} defines no losses().")


@dataclass
class RetainTokens:
    """Loss-bearing tokens of a batch of retain rows, before the vocabulary is touched.

    Attributes:
        hidden: [N, H] hidden states that predict the tokens, carrying gradient.
        head: [V, H] weight of the output layer.
        targets: [N] token ids.
        reference_hidden: [N, H] the same hidden states under the starting model, only if the term asks for them.
        reference_head: [V, H] the starting model's output layer, only if the term asks for it.
    """

    hidden: Tensor
    head: Tensor
    targets: Tensor
    reference_hidden: Tensor | None = None
    reference_head: Tensor | None = None
