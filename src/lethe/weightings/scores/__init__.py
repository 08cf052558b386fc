"""Scores by name; their contract is in `lethe.methods.contract`. To add one: a line below and a file.

The file stands here, or among the weightings if the score is one of them as it is.
"""

from lethe.methods.contract import Score
from lethe.weightings.confidence import Confidence
from lethe.weightings.importance import Importance
from lethe.weightings.raw_entropy import RawEntropy
from lethe.weightings.raw_spread import RawSpread
from lethe.weightings.satimp import SatImp
from lethe.weightings.scores.column import TableColumn
from lethe.weightings.scores.surprisal import Surprisal
from lethe.weightings.tnpo import TNPO
from lethe.weightings.uniform import Uniform
from lethe.weightings.wtnpo import WTNPO

SCORES: dict[str, type[Score]] = {
    "uniform": Uniform,
    "confidence": Confidence,
    "surprisal": Surprisal,
    "importance": Importance,
    "satimp": SatImp,
    "tnpo": TNPO,
    "wtnpo": WTNPO,
    "entropy": RawEntropy,
    "spread": RawSpread,
    "column": TableColumn,
}

__all__ = ["SCORES", "Score"]
