"""First stage of the token table: answers become tokens."""

from collections.abc import Iterable

import pandas as pd

from lethe.benchmarks.contract import Row
from lethe.models.prompts import Encoder


def token_table(encoder: Encoder, rows: Iterable[Row]) -> pd.DataFrame:
    """Tokenise rows into the first columns of the token table.

    Columns: sample (id of the row), group (the row's: an author), position (from 0 within the answer), token_id, text
    (slice of the answer), start and end (characters of the answer, end exclusive; they tile it), eos (the end token,
    whose text is empty).
    """
    found = []
    for row in rows:
        example = encoder.example(row)
        last = len(example.answer) - 1
        for position, (token, (start, end)) in enumerate(zip(example.answer, example.spans, strict=True)):
            text = row.answer[start:end]
            found.append((row.id, row.group, position, token, text, start, end, position == last))
    columns = ["sample", "group", "position", "token_id", "text", "start", "end", "eos"]
    return pd.DataFrame(found, columns=columns).astype(
        {"position": "int32", "token_id": "int32", "start": "int32", "end": "int32", "eos": bool}
    )
