"""WTNPO: TNPO and WGA at once; unlikely tokens are spared even where they have not fallen yet.

Wang et al. 2025 (arXiv 2502.19301); α and β are those of the authors' code (tmlr-group/G-effect).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import Score, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class WTNPO(Score):
    """ω = 2 p^(β+α) / (p^β + p₀^β), p₀ the token's probability under the starting model.

    As in `tnpo`, the authors' 1e-5 in the denominator is left out; not normalised.
    """

    information = ("gold-token confidence", "reference model")
    reference = True
    alpha: float = Field(1.5, gt=0, description="α, exponent of the confidence factor, without unit.")
    beta: float = Field(4.0, gt=0, description="β, exponent of both probabilities, without unit.")

    def weights(self, batch: TokenBatch) -> Tensor:
        ratio = 2 * (self.beta * (batch.logprob - batch.reference_logprob)).sigmoid()
        return (self.alpha * batch.logprob).exp() * ratio
