"""The starting model's part in a run, read from what its rules have stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lethe.benchmarks.records import Record
from lethe.benchmarks.refusals import read_lines, refuse
from lethe.io import read_table
from lethe.models.prompts import Encoder, Example
from lethe.training import reference
from lethe.training.reference import Reference


@dataclass
class Refusals:
    """One "I don't know" answer per forget row.

    Attributes:
        examples: tokenised, in the order of the forget rows.
        table: their token table with the starting model's `logprob`.
    """

    examples: list[Example]
    table: pd.DataFrame


@dataclass
class Starting:
    """What a method needs of the starting model beside the token table; what it does not ask for is absent.

    Attributes:
        retain: hidden states on the retain rows, for retain terms with `reference`.
        forget: last hidden states on the forget rows, for objectives with `teacher`.
        refusals: for objectives with `refusals`.
    """

    retain: Reference | None = None
    forget: Reference | None = None
    refusals: Refusals | None = None


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
