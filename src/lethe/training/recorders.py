"""Looking at a model while it is trained: what is recorded at the end of an epoch cannot be recomputed without it.

A *look* is a function of the loop's context that returns a table; a `Recorder` takes it at the ends of given epochs and
stacks the tables with a column `epoch` (0 = before the first step).
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from lethe.benchmarks.contract import Probe
from lethe.config import MeasureConfig
from lethe.evaluation.measure import measure_generations, measure_tokens, no_generations
from lethe.evaluation.sets import by_set
from lethe.methods.forms import entropy_column
from lethe.methods.kernel import token_scores
from lethe.models.device import autocast
from lethe.models.prompts import Encoder, Example
from lethe.models.states import answer_states, head_weight
from lethe.tokens.table import token_keys
from lethe.training.loop import Context


class Recorder:
    """Takes a look after each of the given numbers of epochs; pass it to `lethe.training.loop.train` as `at_epoch`."""

    def __init__(self, look: Callable[[Context], pd.DataFrame], epochs: Iterable[int]):
        self.look, self.epochs = look, set(epochs)
        self.tables: list[pd.DataFrame] = []

    def __call__(self, context: Context, epochs: int) -> None:
        if epochs in self.epochs:
            self.tables.append(self.look(context).assign(epoch=np.int32(epochs)))

    def table(self) -> pd.DataFrame:
        """The looks below each other; empty if none was asked for."""
        return pd.concat(self.tables, ignore_index=True) if self.tables else pd.DataFrame()


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
            with autocast(context.device, context.dtype):
                states = answer_states(context.model, rows)
                scores = token_scores(states.hidden, head_weight(context.model), states.targets, temperatures)
            keys = token_keys([row.sample for row in rows], [row.answer for row in rows])
            values = {entropy_column(t): scores.entropy[t].cpu().numpy() for t in temperatures}
            found.append(pd.DataFrame(keys | {"logprob": scores.logprob.cpu().numpy()} | values))
        return pd.concat(context.gather(found)).sort_values(["sample", "position"], ignore_index=True)

    return look


class Measurement:
    """Look at the probes as `lethe.evaluation.measure` does; those of each set are shared out among the processes.

    `tokens` and `generations` are two looks; the cheap suite takes only the first.
    """

    def __init__(self, encoder: Encoder, probes: list[Probe], config: MeasureConfig, tokens_per_batch: int):
        self.encoder, self.probes, self.config, self.tokens_per_batch = encoder, probes, config, tokens_per_batch

    def tokens(self, context: Context) -> pd.DataFrame:
        own = self._own(context)
        table, _ = measure_tokens(context.model, self.encoder, own, self.tokens_per_batch, context.dtype)
        return pd.concat(context.gather([table]), ignore_index=True)

    def generations(self, context: Context) -> pd.DataFrame:
        if self.config.suite == "cheap":
            return no_generations()
        table, _ = measure_generations(
            context.model, self.encoder, self._own(context), self.config, self.tokens_per_batch, context.dtype
        )
        return pd.concat(context.gather([table]), ignore_index=True)

    def _own(self, context: Context) -> list[Probe]:
        return [own[i] for own in by_set(self.probes).values() for i in context.share(len(own))]
