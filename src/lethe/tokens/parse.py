"""What a parser says of each token: its part of speech, and whether it is part of a noun chunk or an entity.

Columns of the token table for the weightings `spacy_nouns` and `spacy_entities`. The answer is parsed without its
question; a token takes the part of speech of the word that its first character other than white space belongs to.
"""

import pandas as pd

from lethe.benchmarks.contract import Row
from lethe.labels.align import informative
from lethe.labels.spacy import load_pipeline


def parse(table: pd.DataFrame, rows: list[Row], model: str) -> pd.DataFrame:
    """The token table with `pos` (universal tag, empty where there is no word), `noun_chunk` and `entity` (bool).

    Raises:
        InputError: if the spaCy model is not installed.
    """
    wanted = set(table["sample"])
    chosen = [row for row in rows if row.id in wanted]
    docs = dict(zip((r.id for r in chosen), load_pipeline(model).pipe([r.answer for r in chosen]), strict=True))
    chunks = {s: [(c.start_char, c.end_char) for c in doc.noun_chunks] for s, doc in docs.items()}
    entities = {s: [(e.start_char, e.end_char) for e in doc.ents] for s, doc in docs.items()}
    tags = {s: _tags(doc) for s, doc in docs.items()}
    return table.assign(
        pos=[
            _first(tags[row.sample], row.start, row.end, row.text) if not row.eos else "" for row in table.itertuples()
        ],
        noun_chunk=informative(table, chunks).astype(bool),
        entity=informative(table, entities).astype(bool),
    )


def _tags(doc) -> list[str]:
    """Tag of the word at each character of the text; empty between words."""
    tags = [""] * len(doc.text)
    for word in doc:
        tags[word.idx : word.idx + len(word)] = [word.pos_] * len(word)
    return tags


def _first(tags: list[str], start: int, end: int, text: str) -> str:
    """Tag at the first character that is not white space; a byte piece without a character looks at the one before."""
    if start == end:
        return tags[max(start - 1, 0)]
    return next((tags[start + i] for i, character in enumerate(text) if not character.isspace()), "")
