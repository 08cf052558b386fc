"""Objectives by name; their contract is in `lethe.methods.contract`. To add one: a file here and a line below."""

from lethe.methods.contract import Objective
from lethe.objectives.ascent import Ascent
from lethe.objectives.idk_dpo import IdkDPO
from lethe.objectives.npo import NPO
from lethe.objectives.rmu import RMU
from lethe.objectives.simnpo import SimNPO
from lethe.objectives.undial import UNDIAL

OBJECTIVES: dict[str, type[Objective]] = {
    "ascent": Ascent,
    "npo": NPO,
    "simnpo": SimNPO,
    "idk_dpo": IdkDPO,
    "undial": UNDIAL,
    "rmu": RMU,
}

__all__ = ["OBJECTIVES", "Objective"]
