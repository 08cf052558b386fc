"""The one training loop, for fine-tuning and for unlearning, on CPU, one GPU or several.

A *task* knows which loss to back-propagate for a list of rows; the loop knows everything else: order, schedule,
clipping, precision, processes, log, progress. Losses are divided by counts of the whole effective batch, so gradient
accumulation and several processes give the gradients of one big batch, not of an average of averages.

Gradients are summed over processes once a step and the model is not wrapped: forget and retain losses are
back-propagated apart (the forget graph is freed before the retain pass), and a wrapper's hooks would communicate twice.
"""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from tqdm import tqdm
from transformers import PreTrainedModel

from lethe.config import TrainingConfig
from lethe.methods.kernel import token_statistics
from lethe.models.device import autocast, autocast_dtype, peak_mib, reset_peak, seed_everything
from lethe.models.lora import attach, merge
from lethe.models.prompts import Example
from lethe.models.states import answer_states, by_length, head_weight

log = logging.getLogger(__name__)


class NonFiniteLoss(RuntimeError):
    """Loss or gradient is NaN or infinite; the message names the step and what to try."""


class Task(Protocol):
    """What is trained.

    `begin` is called once, before the first observation; `backward` adds the gradients of an effective batch and
    returns values for the log.
    """

    def begin(self, context: "Context") -> None: ...

    def backward(self, rows: np.ndarray, context: "Context") -> dict[str, float]: ...


class Context:
    """What a task needs to know of the loop: place, precision, step, epoch, and how to add over processes.

    `steps` is the number of optimiser steps of the whole run, `step` of those completed.
    """

    def __init__(self, model: PreTrainedModel, config: TrainingConfig, gpus: int, steps: int = 0):
        self.accelerator = Accelerator(cpu=gpus == 0)
        self.device = self.accelerator.device
        self.dtype = autocast_dtype(config.precision, self.device)
        self.model, self.config = model, config
        self.steps = steps
        self.step = self.epoch = 0

    @property
    def rank(self) -> int:
        return self.accelerator.process_index

    @property
    def world(self) -> int:
        return self.accelerator.num_processes

    def total(self, value: float) -> float:
        """Sum of a number over all processes."""
        if self.world == 1:
            return value
        return float(
            self.accelerator.reduce(torch.tensor(float(value), device=self.device, dtype=torch.float64), "sum")
        )

    def gather(self, values: list[Any]) -> list[Any]:
        """The lists of all processes one after the other, on every process."""
        return values if self.world == 1 else gather_object(values)

    def share(self, rows: int) -> np.ndarray:
        """This process's part of the row numbers 0 … rows − 1, for work that needs no gradients."""
        return np.arange(rows)[self.rank :: self.world]

    def micro_batches(self, examples: list[Example], rows: np.ndarray) -> list[np.ndarray]:
        """Cut this process's rows into forward passes of rows of similar length."""
        size = self.config.micro_batch_size or self.config.batch_size
        return list(by_length(examples, rows, size))


def epoch_order(rows: int, seed: int, epoch: int) -> np.ndarray:
    """Order of the rows in an epoch, the same on every process."""
    return np.random.default_rng([seed, epoch, 0]).permutation(rows)


def batches(rows: int, batch_size: int, seed: int, epoch: int, rank: int = 0, world: int = 1) -> list[np.ndarray]:
    """This process's share of each effective batch of an epoch; over processes, every row once."""
    order = epoch_order(rows, seed, epoch)
    return [order[start : start + batch_size][rank::world] for start in range(0, rows, batch_size)]


def learning_rate(step: int, steps: int, warmup: int, schedule: str) -> float:
    """Factor of the peak learning rate at a step (0 ≤ step < steps): linear warm-up, then decay towards 0."""
    if step < warmup:
        return (step + 1) / warmup
    left = (steps - step) / max(1, steps - warmup)
    match schedule:
        case "linear":
            return left
        case "cosine":
            return 0.5 * (1 - math.cos(math.pi * left))
        case "constant":
            return 1.0
    raise ValueError(f"unknown schedule {schedule!r}")


def make_optimizer(model: PreTrainedModel, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW over fp32 master weights; vectors (norms, biases) are not decayed."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def train(
    model: PreTrainedModel,
    task: Task,
    rows: int,
    config: TrainingConfig,
    seed: int,
    gpus: int = 1,
    at_epoch: Callable[[Context, int], None] | None = None,
) -> pd.DataFrame:
    """Train `model` in place on `rows` rows and return the log, one row per optimiser step.

    `at_epoch(context, epochs done)` is called before the first step and after each epoch, with the model in eval mode
    and without gradients; neither its time nor its memory is logged.

    Log columns: step, epoch, what the task reports (losses in nats, weights' mean and spread), gradient_norm (before
    clipping), learning_rate, seconds (wall clock of the step), peak_mib.

    Raises:
        NonFiniteLoss: on a NaN or infinite loss or gradient, before the weights are touched.
    """
    seed_everything(seed)
    if config.lora is not None:
        attach(model, config.lora, seed)
    per_epoch = math.ceil(rows / config.batch_size)
    steps, warmup = config.epochs * per_epoch, round(config.warmup_epochs * per_epoch)
    context = Context(model, config, gpus, steps)
    model.to(context.device)
    optimizer = make_optimizer(model, config)
    log.info("%d rows, %d epochs of %d steps, %d processes", rows, config.epochs, per_epoch, context.world)
    entries: list[dict] = []
    quiet = not sys.stderr.isatty() or context.rank > 0
    task.begin(context)
    with tqdm(total=steps, unit="step", disable=quiet) as bar:
        _observe(model, context, 0, at_epoch)
        for epoch in range(config.epochs):
            context.epoch = epoch
            for share in batches(rows, config.batch_size, seed, epoch, context.rank, context.world):
                start = time.perf_counter()
                rate = config.learning_rate * learning_rate(context.step, steps, warmup, config.schedule)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.zero_grad(set_to_none=True)
                values = task.backward(share, context)
                norm = _finish_gradients(model, context)
                _require_finite(values, norm, context, steps)
                optimizer.step()
                entries.append(
                    {
                        "step": context.step,
                        "epoch": epoch,
                        **values,
                        "gradient_norm": norm,
                        "learning_rate": rate,
                        "seconds": time.perf_counter() - start,
                        "peak_mib": peak_mib(context.device),
                    }
                )
                context.step += 1
                _report(bar, entries[-1], context.rank == 0, steps)
            _observe(model, context, epoch + 1, at_epoch)
    model.eval()
    if config.lora is not None:
        merge(model)
    return pd.DataFrame(entries)


def _observe(model: PreTrainedModel, context: Context, epochs: int, at_epoch) -> None:
    """Let `at_epoch` look at the model, then go on training as if nothing had been looked at."""
    if at_epoch is not None:
        model.eval()
        with torch.no_grad():
            at_epoch(context, epochs)
    model.train()
    reset_peak(context.device)


def _finish_gradients(model: PreTrainedModel, context: Context) -> float:
    """Sum gradients over processes, clip, and return their norm before clipping."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    sum_gradients(parameters, context)
    return float(torch.nn.utils.clip_grad_norm_(parameters, context.config.max_grad_norm))


def sum_gradients(parameters: Iterable[torch.Tensor], context: Context) -> None:
    """Give every process the gradients of the whole effective batch."""
    if context.world > 1:
        for p in parameters:
            # A process without rows in an epoch's last step has no gradient, but must take part in the sum.
            p.grad = context.accelerator.reduce(torch.zeros_like(p) if p.grad is None else p.grad, "sum")


def _require_finite(values: dict[str, float], norm: float, context: Context, steps: int) -> None:
    bad = [name for name, value in {**values, "gradient_norm": norm}.items() if not math.isfinite(value)]
    if bad:
        raise NonFiniteLoss(
            f"{', '.join(bad)} not finite at step {context.step + 1} of {steps} (epoch {context.epoch + 1}); the "
            "weights were not touched. Lower `learning_rate` or `strength`, raise `retain_strength`, or set "
            "`precision: float32`."
        )


def _report(bar: tqdm, entry: dict, lines: bool, steps: int) -> None:
    losses = {key: f"{value:.4f}" for key, value in entry.items() if key.startswith("loss")}
    bar.set_postfix(losses, refresh=False)
    bar.update()
    every = max(1, steps // 20)
    if lines and (entry["step"] % every == 0 or entry["step"] == steps - 1):
        text = " ".join(f"{key} {value}" for key, value in losses.items())
        log.info("step %d/%d %s (%.2f s/step)", entry["step"] + 1, steps, text, entry["seconds"])


class FineTuning:
    """Mean negative log-likelihood of the loss-bearing tokens: how base, full and retain models are made."""

    def __init__(self, examples: list[Example]):
        self.examples = examples

    def begin(self, context: Context) -> None:
        """Nothing depends on the run."""

    def backward(self, rows: np.ndarray, context: Context) -> dict[str, float]:
        count = context.total(sum(len(self.examples[row].answer) for row in rows))
        total = 0.0
        for part in context.micro_batches(self.examples, rows):
            with autocast(context.device, context.dtype):
                found = answer_states(context.model, [self.examples[row] for row in part])
                statistics = token_statistics(found.hidden, head_weight(context.model), found.targets)
                loss = -statistics.logprob.sum() / count
            loss.backward()
            total += loss.item()
        return {"loss": context.total(total)}
