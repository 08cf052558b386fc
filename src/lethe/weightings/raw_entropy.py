"""ETW without its normalisation: the forget loss grows with the entropy and needs a strength of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import Score, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class RawEntropy(Score):
    """ω = H, the entropy (nats) of the prediction over the full vocabulary.

    `raw_spread` with `normalised_entropy` is the same in other units: H / ln V at a strength of λ ln V.
    """

    information = ("predictive distribution",)
    temperature: float = Field(1.0, gt=0, description="T of the softmax whose entropy is taken, without unit.")

    def temperatures(self) -> tuple[float, ...]:
        return (self.temperature,)

    def weights(self, batch: TokenBatch) -> Tensor:
        return batch.entropy[self.temperature]
