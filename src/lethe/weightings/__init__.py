"""All weightings by name; the contract is in `lethe.methods.contract`. To add one: a file here and a line below.

What has no name is written out as score and scale (`lethe.weightings.scored`).
"""

from lethe.methods.contract import StaticWeighting, Weighting
from lethe.weightings.confidence import Confidence
from lethe.weightings.entropy import Entropy
from lethe.weightings.importance import Importance
from lethe.weightings.mutual_information import MutualInformation
from lethe.weightings.random import Random
from lethe.weightings.raw_entropy import RawEntropy
from lethe.weightings.raw_spread import RawSpread
from lethe.weightings.satimp import SatImp
from lethe.weightings.scales import SCALES
from lethe.weightings.scored import Scored
from lethe.weightings.scores import SCORES
from lethe.weightings.spacy_entities import SpacyEntities
from lethe.weightings.spacy_nouns import SpacyNouns
from lethe.weightings.spans import Spans
from lethe.weightings.spread import Spread
from lethe.weightings.tnpo import TNPO
from lethe.weightings.uniform import Uniform
from lethe.weightings.wtnpo import WTNPO

WEIGHTINGS: dict[str, type[Weighting]] = {
    "uniform": Uniform,
    "confidence": Confidence,
    "tnpo": TNPO,
    "wtnpo": WTNPO,
    "importance": Importance,
    "satimp": SatImp,
    "spacy_nouns": SpacyNouns,
    "spacy_entities": SpacyEntities,
    "entropy": Entropy,
    "raw_entropy": RawEntropy,
    "spread": Spread,
    "raw_spread": RawSpread,
    "mutual_information": MutualInformation,
    "spans": Spans,
    "random": Random,
}

__all__ = ["SCALES", "SCORES", "WEIGHTINGS", "Scored", "StaticWeighting", "Weighting"]
