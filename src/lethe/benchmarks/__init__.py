"""All benchmarks by name.

A benchmark is a function `(config, seed) -> list[Record]`; `lethe.benchmarks.records` is the contract. To add
one: a file here, a line below, and a config section in `lethe.config` that joins `BenchmarkConfig`.
"""

from collections.abc import Callable

from lethe.benchmarks.fictional import fictional
from lethe.benchmarks.records import Record
from lethe.benchmarks.tofu import read_tofu, tofu
from lethe.benchmarks.tofu_files import open_files
from lethe.config import BenchmarkConfig, TofuConfig

BENCHMARKS: dict[str, Callable[..., list[Record]]] = {"fictional": fictional, "tofu": tofu}


def prepare(config: BenchmarkConfig, seed: int) -> tuple[list[Record], dict]:
    """Records of a benchmark, and what to record about data from outside: place, resolved revision, content hashes.

    Source and records come from one reading, so that the recorded commit is the one that was used.
    """
    if isinstance(config, TofuConfig):
        return read_tofu(config, open_files(config))
    return BENCHMARKS[config.name](config, seed), {}


__all__ = ["BENCHMARKS", "Record", "prepare"]
