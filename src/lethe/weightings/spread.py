"""The place of the entropy in ETW taken by another measure of indecision, as ETW's reviewers asked (§9.2)."""

from pydantic import Field
from torch import Tensor

from lethe.choice import choice
from lethe.forms import FORMS, Form
from lethe.method import TokenBatch, Weighting


class Spread(Weighting):
    """ω = n · F / Σ F within each sequence, F a functional form of the predictive distribution (`lethe.forms`)."""

    information = ("predictive distribution",)
    form: choice(FORMS, "form", Form) = Field(description="The measure, with its hyper-parameters and temperature.")

    def forms(self) -> tuple[Form, ...]:
        return (self.form,)

    def weights(self, batch: TokenBatch) -> Tensor:
        return batch.normalise(batch.forms[self.form])
