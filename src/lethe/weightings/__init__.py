"""All weightings by name; the contract is in `lethe.method`. To add one: a file here and a line below."""

from lethe.method import StaticWeighting, Weighting
from lethe.weightings.confidence import Confidence
from lethe.weightings.entropy import Entropy
from lethe.weightings.random import Random
from lethe.weightings.spans import Spans
from lethe.weightings.uniform import Uniform

WEIGHTINGS: dict[str, type[Weighting]] = {
    "uniform": Uniform,
    "confidence": Confidence,
    "entropy": Entropy,
    "spans": Spans,
    "random": Random,
}

__all__ = ["WEIGHTINGS", "StaticWeighting", "Weighting"]
