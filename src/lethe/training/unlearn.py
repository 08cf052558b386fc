"""One unlearning run: a method's three parts, put to work by the training loop.

The order within a step is the point of this file: forget forward → weights from that very forward → forget backward,
which frees its graph → retain forward → retain backward. Nothing is run twice, no second model is in memory, and the
vocabulary is only ever touched at loss-bearing positions, chunk by chunk.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

from lethe.config import MethodConfig
from lethe.io import atomic
from lethe.methods.contract import ForgetTokens, RefusalTokens, RetainTokens, Run, TokenBatch, Weigher
from lethe.methods.kernel import token_statistics
from lethe.models.device import autocast
from lethe.models.prompts import Example
from lethe.models.states import answer_states, head_weight
from lethe.tokens.table import rows_of, token_keys
from lethe.training.loop import Context, sum_gradients
from lethe.training.reference import Starting


class Unlearning:
    """The task of an unlearning run.

    Args:
        method: weighting, objective, retain term and their strengths.
        forget, retain: tokenised rows.
        table: token table of the forget split, with what the weighting reads, and with the starting model's `logprob`
            if the objective or the weighting needs it.
        seed: the run's seed; fixes order, retain draws and whatever a weighting or an objective draws.
        hidden_size: H of the model.
        starting: what objective and retain term need of the starting model.
    """

    def __init__(
        self,
        method: MethodConfig,
        forget: list[Example],
        retain: list[Example],
        table: pd.DataFrame,
        seed: int,
        hidden_size: int,
        starting: Starting | None = None,
    ):
        self.method, self.forget, self.retain, self.seed, self.hidden_size = method, forget, retain, seed, hidden_size
        self.starting = starting or Starting()
        rows = rows_of(table, forget)
        self.start_logprob = None
        if method.objective.reference or method.weighting.reference:
            self.start_logprob = _split(table["logprob"], rows)
        column = method.weighting.column(table, seed)
        self.static = None if column is None else _split(column, rows)
        self.refusal_logprob = None
        if method.objective.refusals:
            refusals = self.starting.refusals
            self.refusal_logprob = _split(refusals.table["logprob"], rows_of(refusals.table, refusals.examples))

    def begin(self, context: Context) -> None:
        """Start weighting and objective in a run of the loop."""
        run = Run(self.seed, self.hidden_size, context.steps, context.device, context.total)
        self.weigher = self.method.weighting.start(run)
        self.losses = self.method.objective.start(run)

    def backward(self, rows: np.ndarray, context: Context) -> dict[str, float]:
        values = self._forget(rows, context)
        if self.method.retain.rows:
            values["loss_retain"] = self._retain(len(rows), context)
        return values

    def weights(self, context: Context) -> pd.DataFrame:
        """Weights of all forget tokens under the current model, as a training step would give them now.

        Returns:
            Columns sample, position, token_id, logprob (nats), weight, and what a learned weighting adds, ordered by
            the first two; on every process.
        """
        found = []
        for part in context.micro_batches(self.forget, context.share(len(self.forget))):
            examples = [self.forget[row] for row in part]
            _, batch = self._forward(part, context)
            keys = token_keys([example.sample for example in examples], [example.answer for example in examples])
            values = {"logprob": batch.logprob, "weight": self.weigher.weights(batch), **self.weigher.scores(batch)}
            arrays = {name: value.detach().float().cpu().numpy() for name, value in values.items()}
            found.append(pd.DataFrame(keys | arrays))
        table = pd.concat(context.gather(found))
        return table.sort_values(["sample", "position"], ignore_index=True)

    def _forward(self, part: np.ndarray, context: Context, **place) -> tuple[ForgetTokens, TokenBatch]:
        """Run the model on some forget rows: tokens with gradient for the objective, without it for the weighting.

        Args:
            place: where in training this is, as fields of `TokenBatch`; none if the model is only looked at.
        """
        weighting = self.method.weighting
        head = head_weight(context.model)
        with autocast(context.device, context.dtype):
            examples = [self.forget[row] for row in part]
            states = answer_states(context.model, examples, self.method.objective.reads_layer())
            statistics = token_statistics(
                states.hidden, head, states.targets, weighting.temperatures(), forms=weighting.forms()
            )
        tokens = ForgetTokens(statistics.logprob, states.hidden, head, states.targets, states.layer_hidden)
        batch = TokenBatch(
            sequence=states.sequence,
            n_sequences=len(part),
            logprob=statistics.logprob.detach(),
            entropy={t: h.detach() for t, h in statistics.entropy.items()},
            forms=statistics.forms,
            reference_logprob=_gather(self.start_logprob, part, context),
            static=_gather(self.static, part, context),
            hidden_states=states.all.detach(),
            position=states.position,
            step=context.step,
            training=bool(place),
            **place,
        )
        return tokens, batch

    def _forget(self, rows: np.ndarray, context: Context) -> dict[str, float]:
        objective = self.method.objective
        count = int(context.total(sum(len(self.forget[row].answer) for row in rows)))
        place = {"step_tokens": count, "step_sequences": int(context.total(len(rows)))}
        units = count if objective.unit == "token" else place["step_sequences"]
        total, weight_sum, weight_squares = 0.0, 0.0, 0.0
        parts = context.micro_batches(self.forget, rows)
        for number, part in enumerate(parts):
            tokens, batch = self._forward(part, context, micro_batch=number, micro_batches=len(parts), **place)
            with autocast(context.device, context.dtype):
                if objective.teacher:
                    kept = self.starting.forget
                    tokens.reference_hidden = kept.of([self.forget[row] for row in part], context.device)
                    tokens.reference_head = kept.head_on(context.device)
                if objective.refusals:
                    tokens.refusal = self._refuse(part, context)
            self.weigher.learn(batch, self._forget_loss(tokens, batch, units, context))
            if number == len(parts) - 1:
                self._update(context)
            weights = self.weigher.weights(batch).detach()
            with autocast(context.device, context.dtype):
                loss = self.losses(tokens, weights, batch).sum() / units
            (self.method.strength * loss).backward()
            total += loss.item()
            weight_sum += weights.double().sum().item()  # fp64: the spread is a difference of sums
            weight_squares += weights.double().square().sum().item()
        if not parts:  # a process without rows in an epoch's last step takes part all the same
            self._update(context)
        mean = context.total(weight_sum) / count
        spread = max(0.0, context.total(weight_squares) / count - mean**2) ** 0.5
        values = {"loss_forget": context.total(total), "weight_mean": mean, "weight_std": spread}
        return values | self.weigher.log()

    def _forget_loss(
        self, tokens: ForgetTokens, batch: TokenBatch, units: float, context: Context
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        """This micro-batch's share of the step's forget loss as a function of the weights alone."""

        def forget_loss(weights: torch.Tensor) -> torch.Tensor:
            with autocast(context.device, context.dtype):
                return self.losses(tokens.detach(), weights, batch).sum() / units

        return forget_loss

    def _update(self, context: Context) -> None:
        sum_gradients(self.weigher.parameters(), context)
        self.weigher.update(context.step)

    def _refuse(self, part: np.ndarray, context: Context) -> RefusalTokens:
        examples = [self.starting.refusals.examples[row] for row in part]
        states = answer_states(context.model, examples)
        statistics = token_statistics(states.hidden, head_weight(context.model), states.targets)
        return RefusalTokens(states.sequence, statistics.logprob, _gather(self.refusal_logprob, part, context))

    def _retain(self, count: int, context: Context) -> float:
        term = self.method.retain
        draws = retain_draws(len(self.retain), self.seed, context.epoch, context.rank, context.step, count)
        tokens = context.total(sum(len(self.retain[row].answer) for row in draws))
        total = 0.0
        for part in context.micro_batches(self.retain, draws):
            examples = [self.retain[row] for row in part]
            with autocast(context.device, context.dtype):
                states = answer_states(context.model, examples, term.reads_layer())
                head = head_weight(context.model)
                retain_tokens = RetainTokens(states.hidden, head, states.targets, states.layer_hidden)
                if term.reference:
                    kept = self.starting.retain
                    retain_tokens.reference_hidden = kept.of(examples, context.device)
                    retain_tokens.reference_head = kept.head_on(context.device)
                loss = term.losses(retain_tokens).sum() / tokens
            (self.method.retain_strength * loss).backward()
            total += loss.item()
        return context.total(total)


def save_weigher(weigher: Weigher, path: str | Path) -> None:
    """Write what a learned weighting keeps (`Weigher.state`) as safetensors; no tensors for the others."""
    with atomic(path) as temporary:
        save_file({name: value.detach().cpu().contiguous() for name, value in weigher.state().items()}, temporary)


def _split(values: np.ndarray, rows: list[np.ndarray]) -> list[torch.Tensor]:
    """A column of the token table by forget row, fp32."""
    values = np.asarray(values, dtype=np.float32)
    return [torch.from_numpy(values[r]) for r in rows]


def _gather(values: list[torch.Tensor] | None, rows: np.ndarray, context: Context) -> torch.Tensor | None:
    """Stored per-token values of the given rows, one after the other; None stays None."""
    return None if values is None else torch.cat([values[row] for row in rows]).to(context.device)


def retain_draws(rows: int, seed: int, epoch: int, rank: int, step: int, count: int) -> np.ndarray:
    """Rows of the retain split that go with a step: one per forget row, drawn without replacement within the step.

    Depends on seed, epoch, rank and step, so that processes and epochs see different rows.
    """
    generator = np.random.default_rng([seed, epoch, rank, step, 1])
    return generator.choice(rows, size=count, replace=count > rows)
