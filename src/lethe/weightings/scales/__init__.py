"""Scales by name; their contract is in `lethe.methods.contract`. To add one: a file here and a line below."""

from lethe.methods.contract import Scale
from lethe.weightings.scales.normalised import Normalised
from lethe.weightings.scales.power import Power
from lethe.weightings.scales.raw import Raw
from lethe.weightings.scales.softmax import Softmax
from lethe.weightings.scales.top import Top
from lethe.weightings.scales.top_of_table import TopOfTable

SCALES: dict[str, type[Scale]] = {
    "normalised": Normalised,
    "raw": Raw,
    "top": Top,
    "top_of_table": TopOfTable,
    "softmax": Softmax,
    "power": Power,
}

__all__ = ["SCALES", "Scale"]
