"""What all parts of the config have in common: unknown keys are errors, nothing changes once it is read."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
Name = Annotated[str, Field(pattern=NAME)]
Precision = Literal["auto", "float32", "bfloat16"]
ForgetSplit = Annotated[str, Field(pattern=r"^forget(0[1-9]|[1-9]\d)$")]


class Section(BaseModel):
    """A part of the config; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
