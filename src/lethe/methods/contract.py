"""What a method is made of: `weighting × objective × retain term`. Start here to add one.

A training step has three stages, and none of them knows what the others do inside:

1. the loop runs the model on forget rows and asks the kernel for this step's token statistics → `TokenBatch`;
2. the **weighting** turns the batch into one weight per token, detached, ω ≥ 0;
3. the **objective** turns the tokens of the forward pass (`ForgetTokens`, which carry gradient) and their weights into
   one loss per sequence, and knows nothing of where the weights come from;
then the forget graph is freed and the **retain term** is computed on retain rows.

What an objective or a retain term needs beyond log-probabilities it declares in class attributes (the starting model's
log-probabilities or hidden states, refusals, a layer's output); the loop brings it, and no method keeps a second model.

Weightings come in three kinds, and all go one way: `Weighting.start` is called once before the first step, and
`weights(batch)` of what it returns for every batch.

- *dynamic*: a function of this step's statistics. Override `weights(batch)`. Entropies at a temperature are asked for
  by overriding `temperatures()`, other spreads of the prediction (`lethe.methods.forms`) by overriding `forms()`.
- *static*: known before training, from the token table. Derive from `StaticWeighting` and override
  `column(table, seed)`; the values of this step's tokens are in `batch.static`. Any weighting may have a column beside
  what it reads of the step.
- *learned*: has parameters and a step of its own inside the loop. Override `start` and return a `Weigher` that owns
  them; `weights(batch)` of the weighting itself, without hidden states, then says what they are at the start, for the
  token table. Such a weighting lives in one file like the others.

A weighting that is a plain number per token can be a `Score`: a scale (`lethe.weightings.scales`) then makes further
weightings of it in the config, as `weighting: {score: …, scale: …}`.

A weighting is a pydantic model: its fields are its hyper-parameters, and their descriptions reach the config's schema.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from lethe.methods.part import Part

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch
    from torch import Tensor

    from lethe.methods.forms import Form

log = logging.getLogger(__name__)


@dataclass
class TokenBatch:
    """Loss-bearing tokens of one batch of forget sequences, flattened; N tokens over B sequences.

    Everything in it is detached: weights are constants to the objective (docs/choices.md#properties-of-the-weight).

    Attributes:
        sequence: [N] int64, the row of the batch that a token belongs to, non-decreasing.
        n_sequences: B.
        logprob: [N] log-probability of the token under the current model, nats, fp32.
        entropy: temperature -> [N] entropy of the prediction at that temperature over the full vocabulary, nats, fp32.
        reference_logprob: [N] the same as `logprob` under the starting model, nats; from the stored token table, only
            if the objective or the weighting asks for it.
        forms: form -> [N] its value on the prediction (see `lethe.methods.forms`), fp32.
        static: [N] this weighting's own column (`Weighting.column`), if it has one.
        hidden_states: [B, S, H] last hidden states of the current model; None outside training.
        position: [N] int64, index into S of the position that *predicts* the token; the token itself is at +1.
        step: optimiser steps completed before this batch.
        micro_batch, micro_batches: index of this batch among those of the optimiser step on this process, and their
            count, which may differ between processes.
        step_tokens, step_sequences: tokens and sequences of the whole optimiser step, over all its micro-batches and
            processes; 0 outside training.
        training: false when the weights are recorded only, not used to train.
    """

    sequence: Tensor
    n_sequences: int
    logprob: Tensor
    entropy: dict[float, Tensor] = field(default_factory=dict)
    forms: dict[Form, Tensor] = field(default_factory=dict)
    reference_logprob: Tensor | None = None
    static: Tensor | None = None
    hidden_states: Tensor | None = None
    position: Tensor | None = None
    step: int = 0
    micro_batch: int = 0
    micro_batches: int = 1
    step_tokens: int = 0
    step_sequences: int = 0
    training: bool = True

    def sum_per_sequence(self, values: Tensor) -> Tensor:
        """[N] -> [B], sums over the tokens of each sequence; differentiable."""
        return values.new_zeros(self.n_sequences).index_add(0, self.sequence, values)

    def lengths(self) -> Tensor:
        """[B] number of loss-bearing tokens of each sequence, as a float tensor."""
        return self.sum_per_sequence(self.logprob.new_ones(len(self.logprob)))

    def normalise(self, values: Tensor) -> Tensor:
        """Rescale [N] non-negative values so that they sum to n, the token count, within each sequence.

        A sequence whose values are all zero gets weight 1 on each token instead of dropping out in silence
        (our choice, docs/choices.md#rescaling).
        """
        total = self.sum_per_sequence(values)[self.sequence]  # [N]
        length = self.lengths()[self.sequence]  # [N]
        empty = total <= 0
        if empty.any():
            log.warning("weights of %d tokens are all zero within their sequences; set to 1", int(empty.sum()))
        return (values * length / total.masked_fill(empty, 1.0)).masked_fill(empty, 1.0)


@dataclass(frozen=True)
class Run:
    """What a weighting or an objective may have to know of the run in which it starts.

    Attributes:
        seed: the run's seed.
        hidden_size: H of the model.
        steps: optimiser steps of the whole run.
        device: where batches are.
        total: sum of a number over all processes; each of them must call it.
    """

    seed: int
    hidden_size: int
    steps: int
    device: torch.device
    total: Callable[[float], float]


class Weigher:
    """What weighs the batches of one run. A weighting without anything to learn is its own; a learner overrides more.

    In an optimiser step, on every process: `learn`, then `weights`, for one micro-batch after the other; `update` once,
    between the two of the last micro-batch (as ATWU does: earlier ones have the weights of before); `log` at the end.
    Where weights are only looked at, `weights` and `scores` alone are called, with `batch.training` false.
    """

    def weights(self, batch: TokenBatch) -> Tensor:
        """[N] weights ω ≥ 0 of the tokens of a batch, fp32; the loop detaches them."""
        raise NotImplementedError(f"{type(self).__name__} defines neither weights() nor start().")

    def parameters(self) -> Iterable[Tensor]:
        """What is learned; before `update`, the loop sums the gradients over the processes."""
        return ()

    def learn(self, batch: TokenBatch, forget_loss: Callable[[Tensor], Tensor]) -> None:
        """Add this micro-batch's gradients to those of the parameters.

        Divide by `batch.step_tokens` or `batch.step_sequences`, so that micro-batches and processes add up to one big
        batch; a term that does not come from tokens belongs into `update`.

        Args:
            batch: as for `weights`.
            forget_loss: [N] weights → this micro-batch's share of the objective's loss, before `strength`, with all
                that is the model's held constant: a scorer that shares the model's objective, whatever it is, minimises
                `forget_loss(its own weights)`.
        """

    def update(self, step: int) -> None:
        """Take a step of its own; `step` is the number of optimiser steps completed before this one."""

    def log(self) -> dict[str, float]:
        """Columns of the training log for the optimiser step that ends, the same on every process (`Run.total`)."""
        return {}

    def scores(self, batch: TokenBatch) -> dict[str, Tensor]:
        """[N] columns that are recorded beside `weight` where weights are looked at."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """What is kept of it with the trained model."""
        return {}


class Weighting(Weigher, Part):
    """One weight per token. Override `weights` (dynamic) or see the module docstring for the other kinds.

    Class attribute `information` names what the weights are made from, for tables and figures: any of "ground truth",
    "parser", "predictive distribution", "gold-token confidence", "reference model", "training signal", "none".
    """

    information: ClassVar[tuple[str, ...]] = ("none",)
    reference: ClassVar[bool] = False  # whether batches must carry the starting model's log-probabilities

    def temperatures(self) -> tuple[float, ...]:
        """Temperatures at which `weights` needs entropies; each is computed once per step."""
        return ()

    def forms(self) -> tuple[Form, ...]:
        """Further spreads of the prediction that `weights` needs; each is computed once per step."""
        return ()

    def columns(self) -> tuple[str, ...]:
        """Columns of the token table that `column` reads, beyond sample and position."""
        return ()

    def column(self, table: pd.DataFrame, seed: int) -> np.ndarray | None:
        """[rows of the table] what is known before training and comes back as `batch.static`; `seed` is the run's."""
        return None

    def start(self, run: Run) -> Weigher:
        """Called once before training; returns what weighs every batch of the run."""
        return self


class Score(Weighting):
    """A weighting that is one number S ≥ 0 per token, taken as it is; a scale makes other weightings of it."""


class Scale(Part):
    """How weights are made of a score, written as S in docstrings; n is the token count of a sequence.

    `whole_table` says that it looks at all tokens of the split at once. A training step never shows those, so such a
    scale works before training, in `column`, and on static scores only.
    """

    whole_table: ClassVar[bool] = False

    def column(self, values: np.ndarray, table: pd.DataFrame) -> np.ndarray:
        """[rows of the table] a static score → what comes back as `batch.static`."""
        return values

    def weights(self, values: Tensor, batch: TokenBatch) -> Tensor:
        """[N] scores of a batch → [N] weights ω ≥ 0, differentiable where the formula is."""
        raise NotImplementedError(f"{type(self).__name__} defines no weights().")


def normalise_column(values: pd.Series, samples: pd.Series) -> pd.Series:
    """`TokenBatch.normalise` for a column of the token table: n · F / Σ F within each sample, 1 where all F are 0.

    Values below 0, which rounding may leave, count as 0; a missing value stays missing.
    """
    values = values.astype(float).clip(lower=0)
    by_sample = values.groupby(samples)
    total = by_sample.transform("sum")
    return (values * by_sample.transform("size") / total).where(total > 0, 1.0).where(values.notna())


class StaticWeighting(Weighting):
    """A weighting that is known before training: a column made of the token table."""

    def column(self, table: pd.DataFrame, seed: int) -> np.ndarray:
        """[rows of the table] weights ω ≥ 0; `seed` is the run's seed."""
        raise NotImplementedError(f"{type(self).__name__} defines no column().")

    def weights(self, batch: TokenBatch) -> Tensor:
        return batch.static


@dataclass
class ForgetTokens:
    """What the forward pass on forget rows gave, carrying gradient; N tokens over B sequences as in `TokenBatch`.

    Attributes:
        logprob: [N] log-probabilities under the current model, nats, fp32.
        hidden: [N, H] last hidden states that predict the tokens.
        head: [V, H] weight of the output layer.
        targets: [N] token ids.
        layer_hidden: [N, H] output of the decoder layer that the objective reads, at the same positions.
        reference_hidden: [N, H] last hidden states of the starting model, only for objectives with `teacher`.
        reference_head: [V, H] the starting model's output layer, likewise.
        refusal: the refusals to the batch's questions, only for objectives with `refusals`.
    """

    logprob: Tensor
    hidden: Tensor
    head: Tensor
    targets: Tensor
    layer_hidden: Tensor | None = None
    reference_hidden: Tensor | None = None
    reference_head: Tensor | None = None
    refusal: RefusalTokens | None = None

    def detach(self) -> ForgetTokens:
        """The same values as constants."""
        values = {name: value if value is None else value.detach() for name, value in vars(self).items()}
        return ForgetTokens(**values)


@dataclass
class RefusalTokens:
    """Tokens of one "I don't know" answer to each question of a batch; M tokens over B sequences.

    Attributes:
        sequence: [M] int64, the row of the batch that a token belongs to.
        logprob: [M] log-probabilities under the current model, nats, carrying gradient.
        reference_logprob: [M] the same under the starting model, from the stored table.
    """

    sequence: Tensor
    logprob: Tensor
    reference_logprob: Tensor

    def detach(self) -> RefusalTokens:
        """The same values as constants."""
        return RefusalTokens(self.sequence, self.logprob.detach(), self.reference_logprob)


class Objective(Part):
    """A forget loss from per-token values and weights.

    Class attribute `information` names what the loss itself looks at beside the weights, in the words of
    `Weighting.information`. Others say what it needs:
        unit: what the loss is averaged over in an effective batch, its tokens or its sequences.
        reference: `batch.reference_logprob`, the starting model's log-probabilities.
        teacher: `tokens.reference_hidden` and `reference_head`, the starting model's predictions.
        refusals: `tokens.refusal`; the loop then runs a refusal after each question as well.
    An objective on a decoder layer's output names it in `reads_layer`.
    """

    unit: ClassVar[Literal["token", "sequence"]]
    information: ClassVar[tuple[str, ...]] = ("none",)
    reference: ClassVar[bool] = False
    teacher: ClassVar[bool] = False
    refusals: ClassVar[bool] = False

    def reads_layer(self) -> int | None:
        """The decoder layer, counted from 0, whose output `losses` reads, if any."""
        return None

    def start(self, run: Run) -> Callable[[ForgetTokens, Tensor, TokenBatch], Tensor]:
        """Called once before training; returns what is called with every batch (by default, `losses`)."""
        return self.losses

    def losses(self, tokens: ForgetTokens, weights: Tensor, batch: TokenBatch) -> Tensor:
        """[B] loss of each sequence, to be summed and divided by the number of tokens or sequences (`unit`).

        Args:
            tokens: what the forward pass gave, carrying gradient.
            weights: [N] weights ω; without gradient when the model learns, with it when a learned weighting does.
            batch: layout and reference log-probabilities; its own `logprob` carries no gradient.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no losses().")


class RetainTerm(Part):
    """A loss on retain rows that keeps what must stay.

    `rows` says whether the loop draws retain rows at all; `reference` whether it must bring the starting model's
    hidden states for them: the last ones, or those of the layer that `reads_layer` names.
    """

    rows: ClassVar[bool] = True
    reference: ClassVar[bool] = False

    def reads_layer(self) -> int | None:
        """The decoder layer, counted from 0, whose output `losses` reads, if any."""
        return None

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
        layer_hidden: [N, H] output of the decoder layer that the term names, carrying gradient.
        reference_hidden: [N, H] what the starting model has in place of `layer_hidden` if the term names a layer, of
            `hidden` otherwise; only if the term asks for it.
        reference_head: [V, H] the starting model's output layer, only for terms on the last hidden states.
    """

    hidden: Tensor
    head: Tensor
    targets: Tensor
    layer_hidden: Tensor | None = None
    reference_hidden: Tensor | None = None
    reference_head: Tensor | None = None
