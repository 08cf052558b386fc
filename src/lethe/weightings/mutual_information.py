"""Tokens about which passes of the starting model under embedding noise disagree: what it is unsure of.

Asked for by ETW's reviewers (docs/choices.md#functional-forms). The passes that it takes are made once, before
training, at the starting model (`lethe.tokens.embedding_noise`), so this is a static weighting: K passes in every step
would cost K times as much.
"""

import numpy as np
import pandas as pd

from lethe.methods.contract import StaticWeighting, normalise_column


class MutualInformation(StaticWeighting):
    """ω = n · I / Σ I within each sequence, I = H(mean_k p_k) − mean_k H(p_k) in nats; ω = 1 where all I are 0."""

    information = ("predictive distribution",)

    def columns(self) -> tuple[str, ...]:
        return ("mutual_information",)

    def column(self, table: pd.DataFrame, seed: int) -> np.ndarray:
        return normalise_column(table["mutual_information"], table["sample"]).to_numpy()
