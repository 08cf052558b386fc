"""Every token counts the same: plain gradient ascent (GA)."""

from torch import Tensor

from lethe.methods.contract import TokenBatch, Weighting


class Uniform(Weighting):
    """ω = 1."""

    def weights(self, batch: TokenBatch) -> Tensor:
        return batch.logprob.new_ones(len(batch.logprob))
