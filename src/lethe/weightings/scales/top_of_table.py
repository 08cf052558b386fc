"""Hard selection by one threshold for the whole split: a sequence without important tokens is left alone.

A training step shows a few sequences at a time, so a threshold over all of them is only defined for scores that are
known before training. The other reading of TokenUnlearn's threshold (arXiv 2605.00364;
docs/choices.md#selection-of-tokens).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import Field

from lethe.methods.contract import Scale, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class TopOfTable(Scale):
    """ω = N / k on the k = ⌈r N⌉ tokens of greatest S among all N of the forget split, 0 elsewhere; static scores only.

    Of equals, the first by sample and position are taken.
    """

    whole_table = True
    share: float = Field(0.3, gt=0, le=1, description="r, share of the split's tokens; at least one token.")

    def column(self, values: np.ndarray, table: pd.DataFrame) -> np.ndarray:
        chosen = math.ceil(self.share * len(values) - 1e-9)
        order = np.lexsort([table["position"], table["sample"], -values])
        weights = np.zeros(len(values))
        weights[order[:chosen]] = len(values) / chosen
        return weights

    def weights(self, values: Tensor, batch: TokenBatch) -> Tensor:
        return values
