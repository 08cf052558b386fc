"""From character spans of an answer to the tokens of a model.

A tokeniser knows nothing of words: tokens carry their leading blank, words fall into pieces, and one
character may fall into several byte tokens. Offsets settle all of it, where matching token texts would mark
"he" inside "father".
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

Spans = Sequence[tuple[int, int]]


def informative(table: pd.DataFrame, spans_by_sample: Mapping[str, Spans | None]) -> pd.Series:
    """Label of every token: does any non-space character of it lie in an informative span?

    Args:
        table: columns sample, text, start, end, eos. Tokens tile the answer: `start` is the end of the token
            before, so a leading blank belongs to the token. A later byte piece of a character has start ==
            end and takes the label of the character before it. Cut answers are fine, spans beyond the last
            token are ignored.
        spans_by_sample: sample -> (start, end) characters of the answer, end exclusive; () marks nothing;
            None or an absent sample leaves all its tokens without a label, the end-of-sequence token too.

    Returns:
        Nullable booleans with the index of `table`. The end-of-sequence token is structural: False.
    """
    start, end = table["start"].to_numpy(int), table["end"].to_numpy(int)
    text, eos = table["text"].to_numpy(object), table["eos"].to_numpy(bool)
    label, unknown = np.zeros(len(table), bool), np.zeros(len(table), bool)
    for sample, rows in table.groupby("sample", sort=False).indices.items():
        spans = spans_by_sample.get(sample)
        if spans is None:
            unknown[rows] = True
            continue
        marked = np.zeros(end[rows].max(), bool)  # [characters]
        for first, last in spans:
            marked[first:last] = True
        for row in rows:
            # The text of a byte piece may be no slice of the answer; then none of its characters is a space.
            if len(text[row]) == end[row] - start[row]:
                for offset, character in enumerate(text[row]):
                    if character.isspace():
                        marked[start[row] + offset] = False
        count = np.concatenate([[0], np.cumsum(marked)])  # [characters + 1] marked characters before each
        # A byte piece without a character of its own looks at the character before it.
        first = np.where(start[rows] == end[rows], np.maximum(start[rows] - 1, 0), start[rows])
        label[rows] = count[end[rows]] > count[first]
    return pd.Series(pd.arrays.BooleanArray(label & ~eos, unknown), index=table.index)
