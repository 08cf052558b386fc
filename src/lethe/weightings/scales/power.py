"""Between uniform weights and the greatest score alone; the other reading of TokenUnlearn's temperature, γ = 1/τ.

arXiv 2605.00364; docs/choices.md#selection-of-tokens. Unlike with `softmax`, a token of score 0 keeps weight 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import Scale, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class Power(Scale):
    """ω = n · S^γ / Σ S^γ within each sequence, so that Σ ω = n; 1 where all S are 0. With γ = 1 it is `normalised`."""

    exponent: float = Field(1.0, gt=0, description="γ, without unit.")

    def weights(self, values: Tensor, batch: TokenBatch) -> Tensor:
        return batch.normalise(values**self.exponent)
