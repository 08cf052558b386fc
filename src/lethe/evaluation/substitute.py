"""Judging runs by another utility where the model utility was not measured: the cheap suite has no generations."""

import math
from collections.abc import Iterable

import pandas as pd

from lethe.errors import InputError
from lethe.metrics import Value
from lethe.metrics.aggregate import aggregate, delta_mu


def by_substitute(runs: pd.DataFrame, utility: str) -> pd.DataFrame:
    """Runs as a selection rule is to read them where another utility stands for the model utility.

    Args:
        runs: rows with model, split, method, neg_log10_fq and the utility; for each model and split one of method
            "full". NaN or infinite = undefined.
        utility: column of the substitute.

    Returns:
        The same rows, with the substitute as model_utility, and its delta_mu (points) and aggregate, by the definitions
        of `lethe.metrics.aggregate`; NaN = undefined.

    Raises:
        InputError: if the full model's row of a model and split is missing.
    """
    places = list(zip(runs["model"], runs["split"], strict=True))
    utilities = _values(runs[utility])
    is_full = runs["method"] == "full"
    full = {place: value for place, value, found in zip(places, utilities, is_full, strict=True) if found}
    for model, split in set(places) - set(full):
        raise InputError(
            f"runs: model '{model}', split '{split}' has no row with method 'full', against which lost "
            "utility is counted; add it."
        )
    lost = [delta_mu(full[place], value) for place, value in zip(places, utilities, strict=True)]
    scores = [aggregate(quality, loss) for quality, loss in zip(_values(runs["neg_log10_fq"]), lost, strict=True)]
    return runs.assign(
        **{"model_utility": _numbers(utilities), "delta_mu": _numbers(lost), "aggregate": _numbers(scores)}
    )


def _values(column: pd.Series) -> list[Value]:
    return [
        Value(number) if math.isfinite(number) else Value(None, "undefined in the table")
        for number in column.astype(float).tolist()
    ]


def _numbers(values: Iterable[Value]) -> list[float]:
    return [math.nan if value.value is None else value.value for value in values]
