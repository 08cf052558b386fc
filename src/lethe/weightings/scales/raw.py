"""The score as it is: the forget loss grows with it, and needs a strength of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lethe.methods.contract import Scale, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class Raw(Scale):
    """ω = S."""

    def weights(self, values: Tensor, batch: TokenBatch) -> Tensor:
        return values
