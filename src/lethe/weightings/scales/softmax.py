"""Soft selection of tokens, as inferred for TokenUnlearn (arXiv 2605.00364; docs/choices.md#selection-of-tokens).

There weights sum to 1 and losses are averaged over sequences; here they sum to n, like those of all selective
weightings, so that τ → ∞ is gradient ascent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import Scale, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class Softmax(Scale):
    """ω = n · exp(S / τ) / Σ exp(S / τ) within each sequence, so that Σ ω = n."""

    temperature: float = Field(0.5, gt=0, description="τ, in units of the score.")

    def weights(self, values: Tensor, batch: TokenBatch) -> Tensor:
        scaled = values / self.temperature
        largest = scaled.new_zeros(batch.n_sequences).scatter_reduce(
            0, batch.sequence, scaled.detach(), "amax", include_self=False
        )
        return batch.normalise((scaled - largest[batch.sequence]).exp())
