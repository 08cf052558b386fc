"""ETW's scale (arXiv 2604.17785; docs/choices.md#rescaling): the total strength is that of gradient ascent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lethe.methods.contract import Scale, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class Normalised(Scale):
    """ω = n · S / Σ S within each sequence, so that Σ ω = n; 1 where all S are 0."""

    def weights(self, values: Tensor, batch: TokenBatch) -> Tensor:
        return batch.normalise(values)
