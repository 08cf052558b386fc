"""ETW without its normalisation: the forget loss grows with the entropy and needs a strength of its own (§9.2)."""

import math

from pydantic import Field
from torch import Tensor

from lethe.method import TokenBatch, Weighting


class RawEntropy(Weighting):
    """ω = H / unit, H the entropy (nats) of the prediction over the full vocabulary."""

    information = ("predictive distribution",)
    temperature: float = Field(1.0, gt=0, description="T of the softmax whose entropy is taken, without unit.")
    unit: float = Field(
        1.0, gt=0, description=f"What the entropy is divided by, nats; ln V (e.g. {math.log(128256):.2f}) gives shares."
    )

    def temperatures(self) -> tuple[float, ...]:
        return (self.temperature,)

    def weights(self, batch: TokenBatch) -> Tensor:
        return batch.entropy[self.temperature] / self.unit
