"""Which samples a heat-map shows: those that the config names (`figures.samples`), or the first of some authors.

The names are of the whole study, a figure is of one split: each shows those of its own.
"""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from lethe.benchmarks.contract import Data
from lethe.errors import InputError


def default_samples(table: pd.DataFrame, groups: Mapping[str, str], count: int = 2) -> list[str]:
    """The first sample of each of the first `count` groups (authors) of a token table.

    Args:
        table: token table.
        groups: sample -> group.
    """
    samples = table["sample"].drop_duplicates()
    return samples.groupby(samples.map(groups), sort=False).first().head(count).tolist()


def present_samples(table: pd.DataFrame, wanted: Iterable[str]) -> list[str]:
    """Wanted samples that a token table holds, in the order wanted."""
    present = set(table["sample"])
    return [sample for sample in wanted if sample in present]


def chosen_samples(table: pd.DataFrame, wanted: Iterable[str], groups: Mapping[str, str]) -> list[str]:
    """Wanted samples that a token table holds; `default_samples` if it holds none.

    Args:
        table: token table of one split.
        wanted: sample ids, of any split; see `check_wanted`.
        groups: sample -> group.
    """
    return present_samples(table, wanted) or default_samples(table, groups)


def check_wanted(wanted: Sequence[str], data: Data) -> None:
    """Refuse names that no figure of any split could show.

    Args:
        wanted: `figures.samples`.
        data: of the benchmark.

    Raises:
        InputError: naming those that are in no forget split.
    """
    forget = [row.id for row in data.all_forget()]
    missing = sorted(set(wanted) - set(forget))
    if missing:
        raise InputError(f"figures.samples: {missing} are in no forget split; name rows such as {forget[0]}.")
