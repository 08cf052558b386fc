"""Weights of a method at the starting model, from the columns of the token table."""

import numpy as np
import pandas as pd
import torch

from lethe.methods.contract import StaticWeighting, TokenBatch, Weighting
from lethe.tokens.table import entropy_column


def weights_at_start(weighting: Weighting, table: pd.DataFrame, seed: int) -> np.ndarray:
    """[rows of the token table] weights at the starting model, from its stored columns.

    The same code that weighs a training batch weighs the whole split here. A weighting that reads hidden states, which
    no table has, cannot be weighed so.
    """
    if isinstance(weighting, StaticWeighting):
        return np.asarray(weighting.column(table, seed), dtype=np.float64)
    sequence, samples = pd.factorize(table["sample"])

    def column(name: str) -> torch.Tensor:
        return torch.tensor(table[name].to_numpy(dtype=np.float64))

    batch = TokenBatch(
        sequence=torch.from_numpy(sequence),
        n_sequences=len(samples),
        logprob=column("logprob"),
        entropy={t: column(entropy_column(t)) for t in weighting.temperatures()},
        forms={form: column(form.column) for form in weighting.forms()},
        reference_logprob=column("logprob"),
        training=False,
    )
    return weighting.weights(batch).numpy()
