"""SatImp's key words (Yang et al. 2025, arXiv 2505.11953): strings of words glued together, without offsets.

A file maps the row of a forget split to the key words of question *and* answer, joined without blanks
(`fathercivilengineer`). SatImp's own rule asks whether a token's text occurs anywhere in the string, and so
marks "he" because of "father". The aligned rule (our choice, docs/choices.md#key-words) first cuts the string
back into words.
"""

import pickle
import re
from collections.abc import Mapping

import pandas as pd

from lethe.benchmarks.contract import Data, Row
from lethe.config import KeywordLabels
from lethe.errors import InputError
from lethe.labels.align import Spans, informative

TOFU_ROWS = 4000
"""Rows of TOFU's `full`, of which a forget split is the tail."""

FOREIGN = 0.2
"""Share of characters that cannot be cut into words, above which a file is taken for another split's. TOFU's
own files stay below 0.01; shifted by one author they reach 0.8."""


def keywords(config: KeywordLabels, data: Data, table: pd.DataFrame) -> pd.Series:
    """Nullable boolean per token: a key word by `config.rule`; missing for rows outside `config.split`.

    Raises:
        InputError: if the file is no dict {row: text}, has fewer rows than the split, or holds other rows'
            words.
    """
    strings = by_row(read_keywords(config.path), data, config)
    words = {row.id: align(strings[row.id], row) for row in data.rows if row.id in strings}
    unmatched = sum(left for _, left in words.values())
    if unmatched > FOREIGN * sum(map(len, strings.values())):
        raise InputError(
            f"{config.path}: its key words are not those of the questions and answers of {config.split}; "
            "name the file of this split, or the split of this file in `split`."
        )
    if config.rule == "aligned":
        return informative(table, {sample: spans for sample, (spans, _) in words.items()})
    # The rule as published, on the token's own text: not a matter of spans.
    labels = [
        raw_rule(text, strings[sample]) and not eos if sample in strings else None
        for sample, text, eos in zip(table["sample"], table["text"], table["eos"], strict=True)
    ]
    return pd.Series(labels, index=table.index, dtype="boolean")


def read_keywords(path: str) -> list[str]:
    """The strings of a `.pth` file {0: text, 1: text, …}, in order.

    Raises:
        InputError: if the file cannot be read or holds something else. Nothing in it is executed.
    """
    import torch

    try:
        content = torch.load(path, weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path}: cannot be read as a .pth file of plain values ({error}); correct the path or fetch it again."
        ) from error
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: holds {type(content).__name__} instead of a dict {{row: key words}}.")
    for row in range(len(content)):
        if not isinstance(content.get(row), str):
            raise InputError(
                f"{path}: row {row} is missing or no text; keys must be 0 to {len(content) - 1}, values text."
            )
    return [content[row] for row in range(len(content))]


def by_row(strings: list[str], data: Data, config: KeywordLabels) -> dict[str, str]:
    """Id of a row -> its string; the file's row i is row i of the forget split, in the order of `full`.

    With the whole split at hand, rows are counted. If the benchmark was thinned out (`benchmark.authors`),
    counting would shift them, so the row comes from the id: `full-<row of full>`, and with n strings the
    split is the last n of TOFU's 4,000 rows, hence i = row − (4000 − n).
    """
    chosen = data.forget(config.split)
    if len(chosen) == len(strings):
        return {row.id: string for row, string in zip(chosen, strings, strict=True)}
    found = {}
    for row in chosen:
        number = row.id.removeprefix("full-")
        place = int(number) - (TOFU_ROWS - len(strings)) if number.isdigit() else -1
        if not 0 <= place < len(strings):
            raise InputError(
                f"{config.path}: {len(strings)} rows, but none for row {row.id} of {config.split}, "
                f"which has {len(chosen)} rows here; name the file of this split, or the split of this "
                "file in `split`."
            )
        found[row.id] = strings[place]
    return found


def raw_rule(text: str, string: str) -> bool:
    """SatImp's own rule: the token's ASCII text is a substring, and at least two characters or numeric."""
    text = text.encode("ascii", "ignore").decode().strip()
    return text in string and (len(text) >= 2 or text.isnumeric())


def align(string: str, row: Row) -> tuple[Spans, int]:
    """Spans of the answer's words that the string can be cut into, and the number of characters left over.

    All occurrences of a word in the answer are marked: the string does not say which is meant.
    """
    answer = word_places(row.answer)
    hit, unmatched = segment(string, {*answer, *word_places(row.prompt or "")})
    return [place for word in hit for place in answer.get(word, ()) if word[0].isalnum()], unmatched


def word_places(text: str) -> Mapping[str, list[tuple[int, int]]]:
    """Words of a text -> where they stand.

    A compound counts whole and in parts ("Yun-Hwa", "Yun", "Hwa"; "father's", "father", "s"), and a
    punctuation mark is a word, so that titles with colons can be followed; only `align` knows that it is not
    informative.
    """
    places: dict[str, set[tuple[int, int]]] = {}
    for pattern in (r"\w+(?:[-'’]\w+)*", r"\w+", r"[^\w\s]"):
        for match in re.finditer(pattern, text):
            places.setdefault(match.group(), set()).add(match.span())
    return {word: sorted(found) for word, found in places.items()}


def segment(string: str, words: set[str]) -> tuple[list[str], int]:
    """Cut a string into words by dynamic programming.

    Returns:
        The words in order, and how many characters belong to none. That number is the least possible; among
        such cuts the one with the fewest words is taken ("father" and not "fat", "her").
    """
    ordered = sorted(words, key=lambda word: (-len(word), word))  # ties must not depend on the order of a set
    cost = [(0, 0)]  # per prefix: (characters left over, words)
    last: list[str | None] = [None]
    for end in range(1, len(string) + 1):
        best, word = (cost[end - 1][0] + 1, cost[end - 1][1]), None
        for candidate in ordered:
            start = end - len(candidate)
            if start >= 0 and string.startswith(candidate, start):
                option = (cost[start][0], cost[start][1] + 1)
                if option < best:
                    best, word = option, candidate
        cost.append(best)
        last.append(word)
    found, end = [], len(string)
    while end:
        if last[end] is not None:
            found.append(last[end])
        end -= len(last[end] or " ")
    return found[::-1], cost[-1][0]
