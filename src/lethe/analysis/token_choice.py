"""Which answer ETW's motivating figure (arXiv 2604.17785, Fig. 1) shows, and which two places of it.

Apart from `lethe.analysis.next_tokens`, because choosing needs no model.
"""

from collections.abc import Sequence

import pandas as pd

from lethe.benchmarks.contract import Data, Row
from lethe.errors import InputError
from lethe.io import require
from lethe.tokens.shown_samples import check_wanted, present_samples


def choose_row(tokens: pd.DataFrame, data: Data, wanted: Sequence[str], label: str) -> Row:
    """The row of `choose_sample`.

    Args:
        tokens: token table of the split.
        data: of the benchmark.
        wanted: sample ids, of any split.
        label: label source.

    Raises:
        InputError: if a wanted sample is in no forget split, or no sample can be shown.
    """
    check_wanted(wanted, data)
    sample = choose_sample(tokens, wanted, label)
    (row,) = [row for row in data.rows if row.id == sample]
    return row


def choose_sample(tokens: pd.DataFrame, wanted: Sequence[str], label: str) -> str:
    """Which sample is shown: the first wanted one of the split, else the first with both kinds of token.

    Args:
        tokens: token table of the split.
        wanted: sample ids, of any split.
        label: label source.

    Raises:
        InputError: if none is wanted and no sample has both kinds.
    """
    found = present_samples(tokens, wanted)
    if found:
        return found[0]
    structural, informative = _kinds(tokens, label)
    both = set(tokens.loc[structural, "sample"]) & set(tokens.loc[informative, "sample"])
    for sample in tokens["sample"]:
        if sample in both:
            return sample
    raise InputError(
        f"labels '{label}': no sample of the split has an informative token and, after the first, a structural one; "
        "set `figures.label` to another source of `labels`."
    )


def choose_positions(tokens: pd.DataFrame, sample: str, label: str) -> tuple[int, int]:
    """Positions of the structural token with the smallest and of the informative one with the largest entropy.

    The structural one is neither EOS nor the answer's first token, which nothing of the answer foretells.

    Args:
        tokens: token table with entropy_T1.0 (nats).
        sample: id of the sample.
        label: label source.

    Raises:
        InputError: if the sample has no such token.
    """
    require(tokens, ["sample", "position", "eos", "entropy_T1.0", f"informative_{label}"], "token table")
    rows = tokens[tokens["sample"] == sample].set_index("position")["entropy_T1.0"]
    chosen = []
    for name, kind in zip(("structural", "informative"), _kinds(tokens, label), strict=True):
        positions = tokens.loc[kind & (tokens["sample"] == sample), "position"]
        if positions.empty:
            raise InputError(
                f"sample {sample}: labels '{label}' mark no {name} token; put another sample of the split first in "
                "`figures.samples`, or set `figures.label` to another source of `labels`."
            )
        values = rows.loc[positions]
        chosen.append(int(values.idxmin() if name == "structural" else values.idxmax()))
    return chosen[0], chosen[1]


def _kinds(tokens: pd.DataFrame, label: str) -> tuple[pd.Series, pd.Series]:
    """[rows] bool: structural tokens that may be chosen, and informative ones; neither where there is no label."""
    column = tokens[f"informative_{label}"].astype("boolean")
    within = ~tokens["eos"].astype(bool)
    structural = column.eq(False).fillna(False).astype(bool) & within & (tokens["position"] > 0)
    return structural, column.fillna(False).astype(bool) & within
