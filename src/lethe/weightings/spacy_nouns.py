"""SCN: only nouns are forgotten, as a parser sees them.

ETW (arXiv 2604.17785) names the baseline; what its letters stand for is unknown, and that it is a mask of nouns as in
FUnDIAL (Dong et al. 2024, arXiv 2402.10052) is inferred (docs/choices.md#masks-by-a-parser). The answer is parsed
alone, and words that repeat the question stay marked.
"""

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from lethe.methods.contract import StaticWeighting

POS = {"nouns": ("NOUN", "PROPN"), "content": ("NOUN", "PROPN", "VERB", "ADJ", "ADV", "NUM")}


class SpacyNouns(StaticWeighting):
    """ω = 1 on tokens of nouns, 0 elsewhere; the mean of the loss is taken over all answer tokens (our choice)."""

    information = ("parser",)
    definition: Literal["nouns", "noun_chunks", "content"] = Field(
        "nouns",
        description="nouns: parts of speech NOUN and PROPN; noun_chunks: spaCy's noun chunks; content: NOUN, PROPN, "
        "VERB, ADJ, ADV, NUM.",
    )

    def columns(self) -> tuple[str, ...]:
        return ("noun_chunk" if self.definition == "noun_chunks" else "pos",)

    def column(self, table: pd.DataFrame, seed: int) -> np.ndarray:
        if self.definition == "noun_chunks":
            return table["noun_chunk"].to_numpy(float)
        return table["pos"].isin(POS[self.definition]).to_numpy(float)
