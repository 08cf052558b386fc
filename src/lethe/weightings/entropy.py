"""ETW: tokens at which the model's prediction is spread out carry the information.

"Forget What Matters, Keep the Rest", arXiv 2604.17785, §2.2 of our specification. The entropy is that of the current
model over the full vocabulary, taken from the very logits of the training forward; temperature enters the entropy only,
never the log-probability of the loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import TokenBatch, Weighting

if TYPE_CHECKING:
    from torch import Tensor


class Entropy(Weighting):
    """ω = n · H / Σ H within each sequence, so that Σ ω = n and the total strength is that of gradient ascent."""

    information = ("predictive distribution",)
    temperature: float = Field(1.0, gt=0, description="T of the softmax whose entropy is taken, without unit.")

    def temperatures(self) -> tuple[float, ...]:
        return (self.temperature,)

    def weights(self, batch: TokenBatch) -> Tensor:
        return batch.normalise(batch.entropy[self.temperature])
