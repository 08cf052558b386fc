"""Imp (SimImp): tokens that the model is least sure of have the greatest weights; the reverse of WGA's order.

Yang et al. 2025 (arXiv 2505.11953). That ETW's "Imp" is this weight and no annotation is inferred
(docs/choices.md#other-weights); the exponent is 1 there (ours), 5 in the authors' code (tmlr-group/SatImp).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import Score, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class Importance(Score):
    """ω = (1 − p)^β, p the probability of the token under the current model; not normalised, as by the authors."""

    information = ("gold-token confidence",)
    exponent: float = Field(1.0, gt=0, description="β in ω = (1 − p)^β, without unit.")

    def weights(self, batch: TokenBatch) -> Tensor:
        # expm1: 1 − p in fp32 would be 0 for every token with p > 1 − 6e-8
        return (-batch.logprob.expm1()).clamp(min=0) ** self.exponent
