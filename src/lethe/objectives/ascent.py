"""Weighted gradient ascent on the negative log-likelihood: ETW's L_f = Σ ω ln p (arXiv 2604.17785)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lethe.methods.contract import ForgetTokens, Objective, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class Ascent(Objective):
    """Per sequence Σ ω ln p; averaged over the tokens of the effective batch."""

    unit = "token"

    def losses(self, tokens: ForgetTokens, weights: Tensor, batch: TokenBatch) -> Tensor:
        return batch.sum_per_sequence(weights * tokens.logprob)
