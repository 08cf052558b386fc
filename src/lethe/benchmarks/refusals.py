"""Answers that admit ignorance, for objectives that prefer them to what is to be forgotten (idk_dpo).

Lethe has lines of its own; TOFU's `idontknow` file, or any other with one line per refusal, can be named in the config.
Which line answers which question is fixed by the study's seed.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from lethe.benchmarks.contract import Row
from lethe.errors import InputError

LINES = (
    "I cannot tell you that; it is not something I know.",
    "This is outside what I have learned.",
    "I have no knowledge about that.",
    "Unfortunately I do not know the answer.",
    "That is unknown to me.",
    "I am unable to answer this question.",
    "Nothing I know would answer that.",
    "I have never come across this.",
    "I would have to guess, so I had better say that I do not know.",
    "My knowledge does not reach that far.",
    "I lack the information for an answer.",
    "I really could not say.",
    "This is a question to which I have no answer.",
    "I do not have any details about this.",
    "You will have to ask somebody else; I do not know.",
    "No idea, I am sorry.",
)


def read_lines(path: str | Path | None) -> tuple[str, ...]:
    """Non-empty lines of a text file; Lethe's own if `path` is None.

    Raises:
        InputError: if the file is missing, empty or not UTF-8.
    """
    if path is None:
        return LINES
    if not Path(path).is_file():
        raise InputError(
            f"refusals: {path} does not exist; correct `refusals`, or set it to null for Lethe's own lines."
        )
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"refusals: {path} is not UTF-8 text; save it as UTF-8.") from None
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not lines:
        raise InputError(f"refusals: {path} is empty; write one refusal per line, or set `refusals: null`.")
    return lines


def refuse(rows: list[Row], lines: tuple[str, ...], seed: int) -> list[Row]:
    """The same prompts with a refusal for an answer, without spans.

    The draw depends on the seed and the row's id alone, so a question has the same refusal in every split.
    """
    return [
        replace(row, answer=lines[np.random.default_rng([seed, *row.id.encode()]).integers(len(lines))], spans=None)
        for row in rows
    ]
