"""One unlearning run: a method's three parts, put to work by the training loop.

The order within a step is the point of this file: forget forward → weights from that very forward → forget backward,
which frees its graph → retain forward → retain backward. Nothing is run twice, no second model is in memory, and the
vocabulary is only ever touched at loss-bearing positions, chunk by chunk.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from lethe.config import MethodConfig
from lethe.device import autocast
from lethe.method import RetainTokens, StaticWeighting, TokenBatch
from lethe.models import head_weight
from lethe.prompts import Example
from lethe.statistics import token_statistics
from lethe.tokens import entropy_column, rows_of
from lethe.train import Context, collate


@dataclass
class Reference:
    """What the `kl` retain term needs of the starting model: its last hidden states on the retain tokens, and its head.

    Attributes:
        hidden: sample id -> [answer tokens, H] hidden states that predict them.
        head: [V, H] weight of the output layer.
    """

    hidden: dict[str, torch.Tensor]
    head: torch.Tensor


class Unlearning:
    """The task of an unlearning run.

    Args:
        method: weighting, objective, retain term and their strengths.
        forget, retain: tokenised rows.
        table: token table of the forget split, with what the weighting reads, and with the starting model's `logprob`
            if the objective needs it.
        seed: the run's seed; fixes order, retain draws and random weightings.
        hidden_size: H of the model, for learned weightings.
        reference: needed by retain terms that declare it, else None.
    """

    def __init__(
        self,
        method: MethodConfig,
        forget: list[Example],
        retain: list[Example],
        table: pd.DataFrame,
        seed: int,
        hidden_size: int,
        reference: Reference | None = None,
    ):
        self.method, self.forget, self.retain, self.seed, self.reference = (
            method,
            forget,
            retain,
            seed,
            reference,
        )
        rows = rows_of(table, forget)
        self.start_logprob = None
        if method.objective.reference or method.weighting.reference:
            logprob = table["logprob"].to_numpy(dtype=np.float32)
            self.start_logprob = [torch.from_numpy(logprob[r]) for r in rows]
        self.static = None
        if isinstance(method.weighting, StaticWeighting):
            column = np.asarray(method.weighting.column(table, seed), dtype=np.float32)
            self.static = [torch.from_numpy(column[r]) for r in rows]
        self.weigh = method.weighting.start(seed, hidden_size)

    def backward(self, rows: np.ndarray, context: Context) -> dict[str, float]:
        values = self._forget(rows, context)
        if self.method.retain.rows:
            values["loss_retain"] = self._retain(len(rows), context)
        return values

    def _forget(self, rows: np.ndarray, context: Context) -> dict[str, float]:
        objective, weighting = self.method.objective, self.method.weighting
        tokens = context.total(sum(len(self.forget[row].answer) for row in rows))
        count = tokens if objective.unit == "token" else context.total(len(rows))
        total, weight_sum, weight_squares = 0.0, 0.0, 0.0
        for part in context.micro_batches(self.forget, rows):
            ids, sequence, position, targets = collate([self.forget[row] for row in part], context.device)
            with autocast(context.device, context.dtype):
                states = context.model.base_model(ids, use_cache=False).last_hidden_state  # [B, S, H]
                statistics = token_statistics(
                    states[sequence, position], head_weight(context.model), targets, weighting.temperatures()
                )
            batch = TokenBatch(
                sequence=sequence,
                n_sequences=len(part),
                logprob=statistics.logprob.detach(),
                entropy={t: h.detach() for t, h in statistics.entropy.items()},
                reference_logprob=_gather(self.start_logprob, part, context),
                static=_gather(self.static, part, context),
                hidden_states=states.detach(),
                position=position,
                step=context.step,
            )
            weights = self.weigh(batch).detach()
            loss = objective.losses(statistics.logprob, weights, batch).sum() / count
            (self.method.strength * loss).backward()
            total += loss.item()
            weight_sum += weights.double().sum().item()  # fp64: the spread is a difference of sums
            weight_squares += weights.double().square().sum().item()
        mean = context.total(weight_sum) / tokens
        spread = max(0.0, context.total(weight_squares) / tokens - mean**2) ** 0.5
        return {"loss_forget": context.total(total), "weight_mean": mean, "weight_std": spread}

    def _retain(self, count: int, context: Context) -> float:
        draws = retain_draws(len(self.retain), self.seed, context.epoch, context.rank, context.step, count)
        tokens = context.total(sum(len(self.retain[row].answer) for row in draws))
        total = 0.0
        for part in context.micro_batches(self.retain, draws):
            examples = [self.retain[row] for row in part]
            ids, sequence, position, targets = collate(examples, context.device)
            with autocast(context.device, context.dtype):
                hidden = context.model.base_model(ids, use_cache=False).last_hidden_state[sequence, position]  # [N, H]
                retain_tokens = RetainTokens(hidden, head_weight(context.model), targets)
                if self.method.retain.reference:
                    stored = torch.cat([self.reference.hidden[example.sample] for example in examples])
                    retain_tokens.reference_hidden = stored.to(context.device, torch.float32)
                    retain_tokens.reference_head = self.reference.head.to(context.device)
                loss = self.method.retain.losses(retain_tokens).sum() / tokens
            (self.method.retain_strength * loss).backward()
            total += loss.item()
        return context.total(total)


def _gather(values: list[torch.Tensor] | None, rows: np.ndarray, context: Context) -> torch.Tensor | None:
    """Stored per-token values of the given rows, one after the other; None stays None."""
    return None if values is None else torch.cat([values[row] for row in rows]).to(context.device)


def retain_draws(rows: int, seed: int, epoch: int, rank: int, step: int, count: int) -> np.ndarray:
    """Rows of the retain split that go with a step: one per forget row, drawn without replacement within the step.

    Depends on seed, epoch, rank and step, so that processes and epochs see different rows.
    """
    generator = np.random.default_rng([seed, epoch, rank, step, 1])
    return generator.choice(rows, size=count, replace=count > rows)


def weights_at_start(method: MethodConfig, table: pd.DataFrame, seed: int) -> np.ndarray:
    """Weights of a method at the starting model, one per row of the token table, from its stored columns.

    The same code that weighs a training batch weighs the whole split here.
    """
    sequence, samples = pd.factorize(table["sample"])
    weighting = method.weighting
    if isinstance(weighting, StaticWeighting):
        return np.asarray(weighting.column(table, seed), dtype=np.float64)
    logprob = torch.from_numpy(table["logprob"].to_numpy(dtype=np.float64))
    batch = TokenBatch(
        sequence=torch.from_numpy(sequence),
        n_sequences=len(samples),
        logprob=logprob,
        entropy={
            t: torch.from_numpy(table[entropy_column(t)].to_numpy(dtype=np.float64)) for t in weighting.temperatures()
        },
        reference_logprob=logprob,
    )
    return weighting.weights(batch).numpy()
