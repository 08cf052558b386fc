"""What a model is asked: the probes of a study's splits, and the parts of them that are measured."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from lethe.benchmarks import BENCHMARKS
from lethe.benchmarks.contract import Data, Probe


def asked(data: Data, splits: Sequence[str], study_splits: Sequence[str], limits: Mapping[str, int]) -> list[Probe]:
    """Probes for the splits of a run (several for the full model), set by set.

    Of a set that is the study's, these are the probes that all splits of the study share, so that all runs are judged
    on the same. Limits take probes evenly spread: over such a set, over each split's part of any other.

    Raises:
        InputError: if a split does not exist.
    """
    probes = {(probe.set, probe.id): probe for probe in data.probes}
    found = []
    for name, whose in BENCHMARKS[data.benchmark].sets.items():
        if whose == "study":
            first, *others = [data.split(split).probes.get(name, ()) for split in study_splits]
            shared = set(first).intersection(*others)
            parts = [[id for id in first if id in shared]]
        else:
            parts = [data.split(split).probes.get(name, ()) for split in splits]
        ids = dict.fromkeys(id for part in parts for id in _spread(part, limits.get(name)))
        found += [probes[name, id] for id in ids]
    return found


def thinned(probes: Iterable[Probe], limits: Mapping[str, int]) -> list[Probe]:
    """The part of the probes that is measured during training: at most so many of a set, evenly spread."""
    return [probe for name, own in by_set(probes).items() for probe in _spread(own, limits.get(name))]


def by_set(probes: Iterable[Probe]) -> dict[str, list[Probe]]:
    """Set -> its probes, in order."""
    sets: dict[str, list[Probe]] = {}
    for probe in probes:
        sets.setdefault(probe.set, []).append(probe)
    return sets


def _spread(rows: Sequence, limit: int | None) -> Sequence:
    if limit is None or limit >= len(rows):
        return rows
    return [rows[i] for i in np.linspace(0, len(rows) - 1, limit).round().astype(int)]


def restrict(table: pd.DataFrame, probes: Iterable[Probe]) -> pd.DataFrame:
    """Rows of a measured table that belong to the given probes."""
    wanted = pd.MultiIndex.from_tuples([(probe.set, probe.id) for probe in probes], names=["set", "sample"])
    return table[pd.MultiIndex.from_frame(table[["set", "sample"]]).isin(wanted)].reset_index(drop=True)
