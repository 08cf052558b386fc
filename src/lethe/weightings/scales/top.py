"""Hard selection of tokens: TokenUnlearn's top-r tokens (arXiv 2605.00364; docs/choices.md#selection-of-tokens).

There the chosen tokens have 1/k each and losses are averaged over sequences; here Σ ω = n, as with `spans` and
`random`, so that r = 1 is gradient ascent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import Scale, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class Top(Scale):
    """ω = n / k on the k = ⌈r n⌉ tokens of greatest S in each sequence, 0 elsewhere; the first of equals is taken."""

    share: float = Field(0.3, gt=0, le=1, description="r, share of a sequence's tokens; at least one token.")

    def weights(self, values: Tensor, batch: TokenBatch) -> Tensor:
        length = batch.lengths().double()  # [B]
        chosen = (self.share * length - 1e-9).ceil()  # what rounding adds to r n must not choose one more
        # In fp32, so that what ties in training (1 − p of two unlikely tokens) ties in the token table's fp64 too.
        order = values.float().argsort(descending=True, stable=True)
        order = order[batch.sequence[order].argsort(stable=True)]  # by sequence, then from the greatest S
        sequence = batch.sequence[order]
        rank = length.new_ones(len(order)).cumsum(0) - 1 - (length.cumsum(0) - length)[sequence]  # 0 for the greatest
        weights = ((length / chosen)[sequence] * (rank < chosen[sequence])).to(values.dtype)
        return weights.new_zeros(len(order)).index_copy(0, order, weights)
