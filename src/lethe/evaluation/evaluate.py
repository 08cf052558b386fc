"""From what was measured on several models of a study to every metric of each; no model is run.

The full model, and the retain model where the benchmark has one, are measured like the others and are what forget
quality, ΔMU and PrivLeak compare with, so they are always among them.
"""

from collections.abc import Mapping

import pandas as pd

from lethe.benchmarks import Benchmark
from lethe.benchmarks.contract import Probe
from lethe.config import EvaluationConfig
from lethe.evaluation.sets import restrict
from lethe.metrics import Value
from lethe.metrics.summary import summarise

Tables = tuple[pd.DataFrame, pd.DataFrame]
"""`tokens` and `generations` of `lethe.evaluation.measure`."""


def evaluate(
    benchmark: Benchmark,
    measured: Mapping[str, Tables],
    probes: list[Probe],
    config: EvaluationConfig,
) -> tuple[dict[str, pd.DataFrame], dict[str, dict[str, Value]]]:
    """Per-sample values and summaries of each model.

    Args:
        benchmark: whose metrics are computed.
        measured: name -> tables; the benchmark's `references` must be among the names.
        probes: to which everybody is restricted, see `lethe.evaluation.sets.asked`.
        config: settings of the metrics.

    Returns:
        name -> table of `Benchmark.samples`; name -> summary by `lethe.metrics.summary.summarise`.
    """
    tables = {
        who: benchmark.samples(restrict(tokens, probes), restrict(generations, probes), probes, config)
        for who, (tokens, generations) in measured.items()
    }
    return tables, summarise(benchmark.metrics, tables)
