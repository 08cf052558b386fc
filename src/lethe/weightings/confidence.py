"""WGA: tokens that the model is still sure of have the greatest weights, so that ascent ends by itself.

Wang et al. 2025 (arXiv 2502.19301). The default exponent is locuslab/open-unlearning's; the authors' code uses 5.
The weights are not normalised, as in the authors' code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import Score, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class Confidence(Score):
    """ω = p^β, p the probability of the token under the current model."""

    information = ("gold-token confidence",)
    exponent: float = Field(1.0, gt=0, description="β in ω = p^β, without unit.")

    def weights(self, batch: TokenBatch) -> Tensor:
        return (batch.logprob * self.exponent).exp()
