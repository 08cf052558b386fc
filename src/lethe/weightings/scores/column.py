"""A number that was computed before training as a token's score: a label, a parse, a spread at the starting model.

So attribution that is made once on the frozen model (TokenUnlearn, arXiv 2605.00364) is a stage that adds a column to
the token table, and a line in `SOURCES`.
"""

from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field

from lethe.errors import InputError
from lethe.methods.contract import Score, StaticWeighting
from lethe.methods.forms import FORMS
from lethe.methods.part import suggest

# Beginning of a column's name -> what it is made from, in the words of `Weighting.information`.
SOURCES = {
    "informative_": "ground truth",
    "noun_chunk": "parser",
    "entity": "parser",
    "entropy_T": "predictive distribution",
    "mutual_information": "predictive distribution",
    **{f"{prefix}_": "predictive distribution" for prefix in FORMS},
}


def _source(name: str) -> str | None:
    return next((source for prefix, source in SOURCES.items() if name.startswith(prefix)), None)


def _known(name: str) -> str:
    if _source(name) is None:
        raise ValueError(f"unknown column{suggest(name, SOURCES)}; a score can begin with {', '.join(SOURCES)}")
    return name


class TableColumn(StaticWeighting, Score):
    """ω = a column of the token table; values below 0, which rounding may leave, count as 0, and true as 1."""

    name: Annotated[str, AfterValidator(_known)] = Field(
        description="The column: `informative_<label>`, `entity`, `noun_chunk`, `mutual_information`, `entropy_T<t>` "
        "or a form's, e.g. `variance_T1.0`, at the starting model."
    )

    @property
    def information(self) -> tuple[str, ...]:
        return (_source(self.name),)

    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    def column(self, table: pd.DataFrame, seed: int) -> np.ndarray:
        values = table[self.name]
        if values.isna().any():
            sample = table.loc[values.isna(), "sample"].iloc[0]
            raise InputError(f"token table: column '{self.name}' says nothing about sample {sample}; use another one.")
        return values.to_numpy(float).clip(min=0)
