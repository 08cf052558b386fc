"""All benchmarks by name.

A benchmark is a function `(config, seed) -> list[Record]`; `lethe.benchmarks.records` is the contract. To add
one: a file here, a line below, and a config section in `lethe.config` that joins `BenchmarkConfig`.
"""

from collections.abc import Callable

from lethe.benchmarks.fictional import fictional
from lethe.benchmarks.records import Record
from lethe.benchmarks.tofu import tofu, tofu_source

BENCHMARKS: dict[str, Callable[..., list[Record]]] = {"fictional": fictional, "tofu": tofu}

# What to record about data that come from outside: place, revision, content hashes.
SOURCES: dict[str, Callable[..., dict]] = {"fictional": lambda config: {}, "tofu": tofu_source}

__all__ = ["BENCHMARKS", "SOURCES", "Record"]
