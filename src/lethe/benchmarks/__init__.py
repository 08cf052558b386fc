"""All benchmarks by name.

A benchmark is a function `(config, seed) -> list[Record]`; `lethe.benchmarks.records` is the contract. To add
one: a file here, a line below, and a config section in `lethe.config` that joins `BenchmarkConfig`.
"""

from collections.abc import Callable

from lethe.benchmarks.fictional import fictional
from lethe.benchmarks.records import Record
from lethe.benchmarks.tofu import tofu

BENCHMARKS: dict[str, Callable[..., list[Record]]] = {"fictional": fictional, "tofu": tofu}

__all__ = ["BENCHMARKS", "Record"]
