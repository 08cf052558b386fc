"""Which configuration of a swept method is reported: a rule over the runs of one seed, which is never reported itself.

A search that looked at the reported seeds would report its own luck. The rules are named in the config
(`selection.rule`), after what they read of TOFU; of another benchmark they read the metrics of its headline. The ETW
paper does not say how its best configurations were found (docs/choices.md#strength-search-and-selection).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from lethe.benchmarks.contract import Benchmark

BUDGET = 5.0
"""Points of utility that `lowest_neg_log10_fq_within_budget` lets a run lose (ours)."""


def lowest_aggregate(runs: pd.DataFrame) -> tuple[object, str]:
    """Lowest score (TOFU: Agg.), or a run that loses no utility and forgets no worse; without any, best forgetting.

    A run without loss of utility has no Agg.: were it set to 0, doing nothing would win. But what forgets at least as
    well for nothing must not lose to what has a price. A run that hardly moves has a low Agg. and may win: that is the
    paper's score; the other rules do not have it so.
    """
    defined = runs[np.isfinite(runs["score"])]
    if defined.empty:
        index, why = lowest_neg_log10_fq(runs)
        return index, f"{{score}} undefined everywhere: {why}"
    index = defined["score"].idxmin()
    free = runs[(runs["loss"] <= 0) & (runs["forgetting"] <= runs.loc[index, "forgetting"])]
    if len(free):
        order = free.sort_values(["forgetting", "loss"], kind="stable")
        return order.index[0], "no utility lost, and forgets no worse than the run of lowest {score}"
    return index, "lowest {score}"


def lowest_neg_log10_fq(runs: pd.DataFrame) -> tuple[object, str]:
    """Best forgetting (TOFU: lowest −log10 FQ)."""
    defined = runs[np.isfinite(runs["forgetting"])]
    if len(defined):
        return defined["forgetting"].idxmin(), "{best} {forgetting}"
    return runs.index[0], "nothing defined: first point"


def lowest_neg_log10_fq_within_budget(runs: pd.DataFrame) -> tuple[object, str]:
    """Best forgetting of those that lose at most 5 points of utility; else the smallest loss."""
    defined = runs[np.isfinite(runs["loss"]) & np.isfinite(runs["forgetting"])]
    within = defined[defined["loss"] <= BUDGET]
    if len(within):
        return within["forgetting"].idxmin(), f"{{best}} {{forgetting}} within {BUDGET:g} points of utility"
    if len(defined):
        return defined["loss"].idxmin(), f"none within {BUDGET:g} points of utility: smallest loss"
    return lowest_neg_log10_fq(runs)


def highest_utility_among_forgotten(runs: pd.DataFrame) -> tuple[object, str]:
    """Highest utility of those that have forgotten (TOFU: forget quality above 0.05); else best forgetting."""
    passed = runs[runs["passed"] & np.isfinite(runs["utility"])]
    if len(passed):
        return passed["utility"].idxmax(), "highest {utility} of those that have forgotten ({line})"
    index, why = lowest_neg_log10_fq(runs)
    return index, f"none has forgotten ({{line}}): {why}"


RULES: dict[str, Callable[[pd.DataFrame], tuple[object, str]]] = {
    rule.__name__: rule
    for rule in (
        lowest_aggregate,
        lowest_neg_log10_fq,
        lowest_neg_log10_fq_within_budget,
        highest_utility_among_forgotten,
    )
}


def best(runs: pd.DataFrame, rule: str, benchmark: "Benchmark") -> tuple[object, str]:
    """Index of the run that a rule picks, and why.

    Args:
        runs: with a unique index and the headline's metrics; NaN and infinite = undefined. Ties go to the first.
        rule: key of `RULES`.
        benchmark: whose headline is read.
    """
    index, why = RULES[rule](judged(runs, benchmark))
    return index, say(why, benchmark)


def judged(runs: pd.DataFrame, benchmark: "Benchmark") -> pd.DataFrame:
    """What rules read: columns forgetting, loss, score (lower is better), utility (higher is), passed (bool)."""
    headline, metrics = benchmark.headline, benchmark.metrics
    forgetting = metrics[headline.forgetting].cost(runs[headline.forgetting].astype(float))
    line = metrics[headline.forgetting].cost(np.nan if headline.passed is None else headline.passed[0])
    return pd.DataFrame(
        {
            "forgetting": forgetting,
            "utility": -metrics[headline.utility].cost(runs[headline.utility].astype(float)),
            "loss": runs[headline.loss].astype(float),
            "score": np.nan if headline.score is None else runs[headline.score].astype(float),
            "passed": forgetting < line,
        },
        index=runs.index,
    )


def say(words: str, benchmark: "Benchmark") -> str:
    """Words of a rule with the names of the benchmark's metrics in the places of {forgetting}, {utility}, {score} …"""
    headline, metrics = benchmark.headline, benchmark.metrics

    def name(metric: str) -> str:
        return (metrics[metric].heading or metric).partition(" (")[0]

    return words.format(
        best="lowest" if metrics[headline.forgetting].better == "lower" else "best",
        forgetting=name(headline.forgetting),
        utility=metrics[headline.utility].said(headline.utility),
        loss=name(headline.loss),
        score="score" if headline.score is None else name(headline.score),
        line="no line is drawn" if headline.passed is None else headline.passed[1],
    )


def select(runs: pd.DataFrame, rule: str, benchmark: "Benchmark") -> tuple[str, str]:
    """The point that a rule picks from the runs of one search, and why; see `best`.

    Args:
        runs: one row per point: point, and the headline's metrics.
        rule: key of `RULES`.
        benchmark: whose headline is read.
    """
    runs = runs.reset_index(drop=True)
    index, why = best(runs, rule, benchmark)
    return runs.loc[index, "point"], why
