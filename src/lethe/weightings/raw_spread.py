"""A functional form of the prediction as the weight itself: without ETW's rescaling, the loss grows with it (§9.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lethe.methods.contract import TokenBatch
from lethe.weightings.form_weighting import FormWeighting

if TYPE_CHECKING:
    from torch import Tensor


class RawSpread(FormWeighting):
    """ω = F, a form of the predictive distribution (`lethe.methods.forms`); it needs a strength of its own."""

    def weights(self, batch: TokenBatch) -> Tensor:
        return batch.forms[self.form]
