"""Every token counts the same: plain gradient ascent (GA)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lethe.methods.contract import Score, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class Uniform(Score):
    """ω = 1."""

    def weights(self, batch: TokenBatch) -> Tensor:
        return batch.logprob.new_ones(len(batch.logprob))
