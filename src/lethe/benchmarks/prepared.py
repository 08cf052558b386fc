"""A benchmark's data as one JSON file, which everything after the `prepare` rule reads."""

from dataclasses import asdict
from pathlib import Path

from lethe.benchmarks.contract import Data, Probe, Row, Split
from lethe.io import read_json, write_json


def write_data(path: str | Path, data: Data) -> None:
    """Write data as JSON; `origin` included."""
    write_json(path, asdict(data))


def read_data(path: str | Path) -> Data:
    """Read what `write_data` wrote, value for value."""
    found = read_json(path)
    return Data(
        benchmark=found["benchmark"],
        rows=tuple(map(_row, found["rows"])),
        probes=tuple(
            Probe(**{**probe, "score": tuple((kind, text) for kind, text in probe["score"])})
            for probe in found["probes"]
        ),
        splits={
            name: Split(
                tuple(split["forget"]),
                tuple(split["retain"]),
                {key: tuple(ids) for key, ids in split["probes"].items()},
            )
            for name, split in found["splits"].items()
        },
        world=tuple(map(_row, found["world"])),
        rehearsed=tuple(found["rehearsed"]),
        origin=found["origin"],
    )


def _row(row: dict) -> Row:
    spans = row["spans"]
    return Row(**{**row, "spans": None if spans is None else tuple((start, end) for start, end in spans)})
