"""The token table: one row per loss-bearing answer token of a forget split, the spine of the study.

Stages add columns and never rows; `annotate` and `score` each build on `tokens`, and `join` brings them together:

    tokens    sample, group, position, token_id, text, start, end, eos
    annotate  informative_<label> (nullable boolean) for each label source
    score     logprob (nats, starting model), entropy_T<t> (nats) for each temperature, <form>_T<t> for each form
    parse     pos, noun_chunk, entity, if a weighting needs a parser
    embedding_noise   mutual_information (nats), if it is asked for
    weigh     weight_<method> for each method, at the starting model
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lethe.errors import InputError

if TYPE_CHECKING:
    from lethe.models.prompts import Example

KEY = ["sample", "position"]


def considered(table: pd.DataFrame, eos: str) -> pd.DataFrame:
    """Rows of a token table that statistics of tokens look at: all, or without end tokens if `eos` is `drop`."""
    return table if eos == "structural" else table[~table["eos"]].reset_index(drop=True)


def token_keys(samples: Sequence[str], answers: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
    """Columns sample, position and token_id of the tokens of some answers, one answer after the other."""
    lengths = [len(answer) for answer in answers]
    return {
        "sample": np.repeat(samples, lengths),
        "position": np.concatenate([np.arange(n) for n in lengths]).astype("int32"),
        "token_id": np.concatenate(answers).astype("int32"),
    }


def join(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Columns of several stages of the same token table, in the row order of the first.

    Raises:
        InputError: if the tables do not have the same tokens.
    """
    joined, *others = tables
    for table in others:
        added = [column for column in table.columns if column not in joined.columns]
        merged = joined.merge(table[[*KEY, "token_id", *added]], on=[*KEY, "token_id"], validate="one_to_one")
        if not len(merged) == len(joined) == len(table):
            raise InputError("the stages of the token table have different tokens; rebuild them for this model.")
        joined = merged
    return joined


def rows_of(table: pd.DataFrame, examples: "Iterable[Example]") -> list[np.ndarray]:
    """Row numbers of the table for each example, in the example's token order.

    Raises:
        InputError: if the table does not hold exactly the example's tokens, i.e. was made with another tokenizer,
            prompt or data set.
    """
    ordered = table.reset_index(drop=True).sort_values(KEY, kind="stable")
    groups = {sample: index.to_numpy() for sample, index in ordered.groupby("sample", sort=False).groups.items()}
    ids = table["token_id"].to_numpy()
    found = []
    for example in examples:
        rows = groups.get(example.sample)
        if rows is None or not np.array_equal(ids[rows], example.answer):
            raise InputError(
                f"token table: sample {example.sample} is missing or has other tokens than this model's tokenizer "
                "gives; rebuild the table for this model."
            )
        found.append(rows)
    return found
