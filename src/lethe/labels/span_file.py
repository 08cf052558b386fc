"""Spans that somebody annotated, from a file: the format of the GPT-4o annotation of TOFU's forget sets.

A line belongs to a row if question and answer agree, wherever it stands: forget splits are nested, so the
same sample has another row number in each file.
"""

import pandas as pd

from lethe.benchmarks.contract import Data
from lethe.benchmarks.json_lines import read_json_lines, require_text
from lethe.config import SpanFileLabels
from lethe.errors import InputError
from lethe.labels.align import informative

Span = tuple[int, int]


def span_file(config: SpanFileLabels, data: Data, table: pd.DataFrame) -> pd.Series:
    """Nullable boolean per token: part of a target word of the file; missing where the file lacks the row.

    Raises:
        InputError: see `read_spans`.
    """
    spans = read_spans(config.path)
    return informative(table, {row.id: spans.get((row.prompt, row.answer)) for row in data.rows})


def read_spans(path: str) -> dict[tuple[str, str], list[Span]]:
    """(question, answer) -> character spans of the answer, end exclusive; an empty list if it has none.

    Raises:
        InputError: naming file and line, if a row lacks question, answer or target words, if offsets do not
            reproduce their word, or if a question/answer pair occurs twice.
    """
    spans: dict[tuple[str, str], list[Span]] = {}
    for number, row in enumerate(read_json_lines(path), start=1):
        where = f"{path}, line {number}"
        pair = (require_text(row, "question", where), require_text(row, "answer", where))
        if pair in spans:
            raise InputError(f"{where}: question and answer occur twice in the file; remove one of the rows.")
        if not isinstance(row.get("target_words"), list):
            raise InputError(
                f"{where}: no list 'target_words' (present: {', '.join(row)}); write the informative words "
                "as [{word, start, end}], an empty list for none."
            )
        spans[pair] = [_span(word, pair[1], where) for word in row["target_words"]]
    return spans


def _span(word: object, answer: str, where: str) -> Span:
    match word:
        case {"word": str(text), "start": int(start), "end": int(end)} if 0 <= start < end <= len(answer):
            if answer[start:end] == text:
                return start, end
            raise InputError(
                f"{where}: characters {start} to {end} of the answer are {answer[start:end]!r} and not "
                f"{text!r}; offsets count characters (not bytes) of `answer`, end exclusive."
            )
    raise InputError(
        f"{where}: target word {word!r} is not {{word, start, end}} with offsets inside the answer of "
        f"{len(answer)} characters; correct it."
    )
