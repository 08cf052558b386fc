"""Looking at a model while it is trained: what is recorded at the end of an epoch cannot be recomputed without it.

A *look* is a function of the loop's context that returns a table; a `Recorder` takes it at the start and after each
n-th epoch and the last, and stacks the tables with a column `epoch` (0 = before the first step).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from lethe.benchmarks.records import Record
from lethe.config import EvaluationConfig
from lethe.device import autocast
from lethe.measure import measure_generations, measure_tokens, no_generations
from lethe.models import head_weight, hidden_states
from lethe.prompts import Encoder, Example
from lethe.statistics import token_scores
from lethe.tokens import entropy_column, token_keys
from lethe.train import Context, collate


class Recorder:
    """Takes a look every `every` epochs, at the start and at the end; pass it to `lethe.train.train` as `at_epoch`."""

    def __init__(self, look: Callable[[Context], pd.DataFrame], epochs: int, every: int = 1):
        self.look, self.epochs, self.every = look, epochs, every
        self.tables: list[pd.DataFrame] = []

    def __call__(self, context: Context, epochs: int) -> None:
        if epochs % self.every == 0 or epochs == self.epochs:
            self.tables.append(self.look(context).assign(epoch=np.int32(epochs)))

    def table(self) -> pd.DataFrame:
        return pd.concat(self.tables, ignore_index=True)


def together(*recorders: Recorder) -> Callable[[Context, int], None]:
    """One `at_epoch` of several recorders."""

    def at_epoch(context: Context, epochs: int) -> None:
        for recorder in recorders:
            recorder(context, epochs)

    return at_epoch


def look_at_tokens(examples: list[Example], temperatures: tuple[float, ...]) -> Callable[[Context], pd.DataFrame]:
    """Look: sample, position, token_id, logprob and entropy_T<t> (nats) of the examples' answer tokens."""

    def look(context: Context) -> pd.DataFrame:
        found = []
        for part in context.micro_batches(examples, context.share(len(examples))):
            rows = [examples[row] for row in part]
            ids, sequence, position, targets = collate(rows, context.device)
            with autocast(context.device, context.dtype):
                states, _ = hidden_states(context.model, ids)
                scores = token_scores(states[sequence, position], head_weight(context.model), targets, temperatures)
            keys = token_keys([row.sample for row in rows], [row.answer for row in rows])
            values = {entropy_column(t): scores.entropy[t].cpu().numpy() for t in temperatures}
            found.append(pd.DataFrame(keys | {"logprob": scores.logprob.cpu().numpy()} | values))
        return pd.concat(context.gather(found)).sort_values(["sample", "position"], ignore_index=True)

    return look


class Measurement:
    """Look at the evaluation sets as `lethe.measure` does; rows are shared out among the processes.

    `tokens` and `generations` are two looks; the cheap suite takes only the first.
    """

    def __init__(self, encoder: Encoder, sets: dict[str, list[Record]], config: EvaluationConfig):
        self.encoder, self.sets, self.config = encoder, sets, config

    def tokens(self, context: Context) -> pd.DataFrame:
        own = self._own(context)
        table, _ = measure_tokens(context.model, self.encoder, own, self.config.tokens_per_batch, context.dtype)
        return pd.concat(context.gather([table]), ignore_index=True)

    def generations(self, context: Context) -> pd.DataFrame:
        if self.config.epoch_suite == "cheap":
            return no_generations()
        table, _ = measure_generations(context.model, self.encoder, self._own(context), self.config, context.dtype)
        return pd.concat(context.gather([table]), ignore_index=True)

    def _own(self, context: Context) -> dict[str, list[Record]]:
        return {name: [rows[i] for i in context.share(len(rows))] for name, rows in self.sets.items()}
