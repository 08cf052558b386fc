"""The control: as selective as a mask of informative tokens, but blind.

What a method gains over this it gains by choosing the right tokens, not by choosing few.
"""

import numpy as np
import pandas as pd
from pydantic import Field

from lethe.methods.contract import StaticWeighting


class Random(StaticWeighting):
    """ω = n / k on k tokens of each sequence drawn without replacement, 0 elsewhere, so that Σ ω = n."""

    share: float = Field(
        0.25, gt=0, le=1, description="Share of a sequence's tokens that is drawn; at least one token."
    )

    def column(self, table: pd.DataFrame, seed: int) -> np.ndarray:
        generator = np.random.default_rng(seed)
        weights = np.zeros(len(table))
        for rows in table.groupby("sample", sort=False).indices.values():
            k = max(1, round(self.share * len(rows)))
            weights[generator.choice(rows, size=k, replace=False)] = len(rows) / k
        return weights
