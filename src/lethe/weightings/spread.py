"""The place of ETW's entropy taken by another uncertainty measure, as its reviewers asked (docs/choices.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lethe.methods.contract import TokenBatch
from lethe.weightings.raw_spread import RawSpread

if TYPE_CHECKING:
    from torch import Tensor


class Spread(RawSpread):
    """ω = n · F / Σ F within each sequence, F a form of the predictive distribution (`lethe.methods.forms`).

    Short for `{score: {spread: …}, scale: normalised}`.
    """

    def weights(self, batch: TokenBatch) -> Tensor:
        return batch.normalise(super().weights(batch))
