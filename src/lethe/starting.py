"""The starting model's part in a run, read from what its rules have stored."""

from collections.abc import Mapping
from pathlib import Path

from lethe import reference
from lethe.benchmarks.records import Record
from lethe.benchmarks.refusals import read_lines, refuse
from lethe.io import read_table
from lethe.prompts import Encoder
from lethe.unlearn import Refusals, Starting


def read(
    kept: Mapping[str, str | Path],
    refusals: str | Path | None,
    encoder: Encoder,
    forget: list[Record],
    lines: str | None,
    seed: int,
) -> Starting:
    """What a method needs of the starting model beside the token table.

    Args:
        kept: `retain`, `forget` -> file of the `reference` rule; what the method does not need is absent.
        refusals: table of the `refuse` rule; None if the method does not need it.
        encoder: of the model.
        forget: the forget rows, in the run's order.
        lines: the study's `refusals`.
        seed: the study's seed, which fixes the refusals.
    """
    starting = Starting(**{name: reference.read(path) for name, path in kept.items()})
    if refusals is not None:
        answers = encoder.examples(refuse(forget, read_lines(lines), seed))
        starting.refusals = Refusals(answers, read_table(refusals))
    return starting
