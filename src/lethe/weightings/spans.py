"""The oracle: only tokens that a label source calls informative are forgotten.

With gold spans this is the best that any selection of tokens could know, and so the yardstick for the others.
"""

import numpy as np
import pandas as pd
from pydantic import Field

from lethe.errors import InputError
from lethe.methods.contract import StaticWeighting


class Spans(StaticWeighting):
    """ω = n / (informative tokens) on informative tokens, 0 elsewhere, so that Σ ω = n within each sequence.

    A sequence without any informative token has ω = 0: there is nothing to forget in it.
    """

    information = ("ground truth",)
    label: str = Field("gold", description="Label source: a key of `labels` in the config.")

    def columns(self) -> tuple[str, ...]:
        return (f"informative_{self.label}",)

    def column(self, table: pd.DataFrame, seed: int) -> np.ndarray:
        (name,) = self.columns()
        if table[name].isna().any():
            sample = table.loc[table[name].isna(), "sample"].iloc[0]
            raise InputError(
                f"label source '{self.label}' says nothing about sample {sample}; weighting 'spans' needs a label "
                f"for every forget sample. Use another label source."
            )
        informative = table[name].astype(float)
        by_sample = informative.groupby(table["sample"])
        chosen = by_sample.transform("sum")
        return (informative * by_sample.transform("size") / chosen.where(chosen > 0, 1.0)).to_numpy()
