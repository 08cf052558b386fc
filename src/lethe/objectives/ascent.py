"""Weighted gradient ascent on the negative log-likelihood: ETW's L_f = Σ ω ln p (arXiv 2604.17785, §2.1)."""

from torch import Tensor

from lethe.methods.contract import ForgetTokens, Objective, TokenBatch


class Ascent(Objective):
    """Per sequence Σ ω ln p; averaged over the tokens of the effective batch."""

    unit = "token"

    def losses(self, tokens: ForgetTokens, weights: Tensor, batch: TokenBatch) -> Tensor:
        return batch.sum_per_sequence(weights * tokens.logprob)
