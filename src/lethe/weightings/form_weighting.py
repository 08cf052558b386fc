"""What the weightings `spread` and `raw_spread` share: they are made of one uncertainty measure."""

from pydantic import Field

from lethe.methods.contract import Weighting
from lethe.methods.forms import FORMS, Form
from lethe.methods.part import choice


class FormWeighting(Weighting):
    """A weighting that is made of one form; override `weights`."""

    information = ("predictive distribution",)
    form: choice(FORMS, "form", Form) = Field(description="The measure, with its hyper-parameters and temperature.")

    def forms(self) -> tuple[Form, ...]:
        return (self.form,)
