"""All benchmarks by name, and the config section that chooses one.

`lethe.benchmarks.contract` says what a benchmark owes. To add one: a file here and a place in the line below.
"""

from typing import Annotated, Union

from pydantic import Field

from lethe.benchmarks.contract import Benchmark, Data
from lethe.benchmarks.fictional import Fictional
from lethe.benchmarks.tofu import Tofu
from lethe.errors import InputError
from lethe.section import Section

BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in (Fictional(), Tofu())}

BenchmarkConfig = Annotated[
    Union[tuple(benchmark.section for benchmark in BENCHMARKS.values())],  # noqa: UP007
    Field(discriminator="name"),
]


def prepare(config: Section, seed: int, splits: list[str]) -> Data:
    """Data of a benchmark.

    Args:
        config: its section.
        seed: the study's.
        splits: those of the study.

    Raises:
        InputError: for a split that the data do not have, or that forgets or keeps nothing: it stops a study before any
            training.
    """
    benchmark = BENCHMARKS[config.name]
    data = benchmark.load(config, seed)
    for name in splits:
        split = data.split(name)
        if not split.forget or (benchmark.has_retain_models and not split.retain):
            empty = "retain" if split.forget else "forget"
            raise InputError(f"splits: {name} has no rows to {empty}; correct the data or choose another split.")
    return data


__all__ = ["BENCHMARKS", "Benchmark", "BenchmarkConfig", "Data", "prepare"]
