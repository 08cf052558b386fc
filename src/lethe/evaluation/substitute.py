"""Judging runs by another utility where the headline's was not measured: the cheap suite has no generations."""

import math
from collections.abc import Iterable

import pandas as pd

from lethe.benchmarks.contract import Benchmark
from lethe.errors import InputError
from lethe.metrics import Value
from lethe.metrics.aggregate import delta_mu


def by_substitute(runs: pd.DataFrame, utility: str, benchmark: Benchmark) -> pd.DataFrame:
    """Runs as a selection rule is to read them where another utility stands for the headline's.

    Args:
        runs: rows with model, split, method, the headline's forgetting and the utility; for each model and split one
            of method "full". NaN or infinite = undefined.
        utility: column of the substitute.
        benchmark: whose headline is read.

    Returns:
        The same rows, with the substitute as the headline's utility, and its loss (points) and score; NaN = undefined.

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
    headline = benchmark.headline
    found = {headline.utility: _numbers(utilities), headline.loss: _numbers(lost)}
    if headline.score is not None:  # a function of forgetting and loss alone
        score = benchmark.metrics[headline.score].of
        pairs = zip(_values(runs[headline.forgetting]), lost, strict=True)
        found[headline.score] = _numbers(score({headline.forgetting: f, headline.loss: loss}) for f, loss in pairs)
    return runs.assign(**found)


def _values(column: pd.Series) -> list[Value]:
    return [
        Value(number) if math.isfinite(number) else Value(None, "undefined in the table")
        for number in column.astype(float).tolist()
    ]


def _numbers(values: Iterable[Value]) -> list[float]:
    return [math.nan if value.value is None else value.value for value in values]
