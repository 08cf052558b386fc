"""An uncertainty measure as the weight itself: without ETW's rescaling, the loss grows with it (docs/choices.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import Score, TokenBatch
from lethe.methods.forms import FORMS, Form
from lethe.methods.part import choice

if TYPE_CHECKING:
    from torch import Tensor


class RawSpread(Score):
    """ω = F, a form of the predictive distribution (`lethe.methods.forms`); it needs a strength of its own."""

    information = ("predictive distribution",)
    form: choice(FORMS, "form", Form) = Field(description="The measure, with its hyper-parameters and temperature.")

    def forms(self) -> tuple[Form, ...]:
        return (self.form,)

    def weights(self, batch: TokenBatch) -> Tensor:
        return batch.forms[self.form]
