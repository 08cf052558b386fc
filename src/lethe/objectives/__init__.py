"""All forget objectives by name; the contract is in `lethe.method`. To add one: a file here and a line below."""

from lethe.method import Objective
from lethe.objectives.ascent import Ascent
from lethe.objectives.npo import NPO

OBJECTIVES: dict[str, type[Objective]] = {"ascent": Ascent, "npo": NPO}

__all__ = ["OBJECTIVES", "Objective"]
