"""First stage of the token table: answers become tokens."""

from collections.abc import Iterable

import pandas as pd

from lethe.benchmarks.records import Record
from lethe.models.prompts import Encoder


def token_table(encoder: Encoder, records: Iterable[Record]) -> pd.DataFrame:
    """Tokenise records into the first columns of the token table.

    Columns: sample (record id), group (the record's: an author), position (from 0 within the answer), token_id, text
    (slice of the answer), start and end (characters of the answer, end exclusive; they tile it), eos (the end token,
    whose text is empty).
    """
    rows = []
    for record in records:
        example = encoder.example(record.id, record.question, record.answer)
        last = len(example.answer) - 1
        for position, (token, (start, end)) in enumerate(zip(example.answer, example.spans, strict=True)):
            text = record.answer[start:end]
            rows.append((record.id, record.group, position, token, text, start, end, position == last))
    columns = ["sample", "group", "position", "token_id", "text", "start", "end", "eos"]
    return pd.DataFrame(rows, columns=columns).astype(
        {"position": "int32", "token_id": "int32", "start": "int32", "end": "int32", "eos": bool}
    )
