"""What parts of the config have in common; `Section` itself stands below the benchmarks, which have sections, too."""

from typing import Literal

from lethe.section import NAME, Name, Section

Precision = Literal["auto", "float32", "bfloat16"]

__all__ = ["NAME", "Name", "Precision", "Section"]
