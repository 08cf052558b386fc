"""Weights of a method at the starting model, from the columns of the token table."""

import numpy as np
import pandas as pd
import torch

from lethe.methods.contract import TokenBatch, Weighting
from lethe.methods.forms import entropy_column


def weights_at_start(weighting: Weighting, table: pd.DataFrame, seed: int) -> np.ndarray:
    """[rows of the token table] weights at the starting model, from its stored columns.

    The same code that weighs a training batch weighs the whole split here, in the same order: tokens of a sample by
    position, whatever the order of rows. A weighting that reads hidden states, which no table has, cannot be weighed
    so.
    """
    static = weighting.column(table, seed)
    sequence, samples = pd.factorize(table["sample"])
    order = np.lexsort([table["position"], sequence])

    def tensor(values: pd.Series | np.ndarray) -> torch.Tensor:
        return torch.tensor(np.asarray(values, dtype=np.float64)[order])

    batch = TokenBatch(
        sequence=torch.tensor(sequence[order]),
        n_sequences=len(samples),
        logprob=tensor(table["logprob"]),
        entropy={t: tensor(table[entropy_column(t)]) for t in weighting.temperatures()},
        forms={form: tensor(table[form.column]) for form in weighting.forms()},
        reference_logprob=tensor(table["logprob"]),
        static=None if static is None else tensor(static),
        training=False,
    )
    weights = np.empty(len(table))
    weights[order] = weighting.weights(batch).numpy()
    return weights
