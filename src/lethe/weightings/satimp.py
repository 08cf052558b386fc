"""SatImp: saturation and importance multiplied, so that neither sure nor hopeless tokens have weight.

Yang et al. 2025 (arXiv 2505.11953). Exponents are those of locuslab/open-unlearning's configuration (5, 1); the
authors' README recommends (5, 0.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import Score, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class SatImp(Score):
    """ω = p^β₁ (1 − p)^β₂, p the probability of the token under the current model.

    Not normalised, as in the authors' code; with (5, 1) no weight exceeds 0.067, so `strength` needs tuning.
    """

    information = ("gold-token confidence",)
    beta1: float = Field(5.0, ge=0, description="β₁, exponent of the saturation p, without unit.")
    beta2: float = Field(1.0, ge=0, description="β₂, exponent of the importance 1 − p, without unit.")

    def weights(self, batch: TokenBatch) -> Tensor:
        importance = (-batch.logprob.expm1()).clamp(min=0)  # exact for p near 1
        return (self.beta1 * batch.logprob).exp() * importance**self.beta2
