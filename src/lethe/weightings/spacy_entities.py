"""SCE: only named entities are forgotten, as a parser sees them; what is known of the baseline: `spacy_nouns`."""

import numpy as np
import pandas as pd

from lethe.methods.contract import StaticWeighting


class SpacyEntities(StaticWeighting):
    """ω = 1 on tokens of named entities, 0 elsewhere; the mean of the loss is taken over all answer tokens."""

    information = ("parser",)

    def columns(self) -> tuple[str, ...]:
        return ("entity",)

    def column(self, table: pd.DataFrame, seed: int) -> np.ndarray:
        return table["entity"].to_numpy(float)
