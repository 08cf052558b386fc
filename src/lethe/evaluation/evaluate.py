"""From what was measured on several models of a study to every metric of each; no model is run.

The retain model and the full model are measured like the others and are what forget quality, ΔMU and PrivLeak compare
with, so they are always among them.
"""

from collections.abc import Mapping

import pandas as pd

from lethe.benchmarks.records import Record
from lethe.config import EvaluateConfig
from lethe.evaluation.sets import restrict
from lethe.metrics import Value
from lethe.metrics.samples import Measured, samples
from lethe.metrics.summary import summarise

Tables = tuple[pd.DataFrame, pd.DataFrame]
"""`tokens` and `generations` of `lethe.evaluation.measure`."""


def evaluate(
    measured: Mapping[str, Tables],
    records: list[Record],
    sets: dict[str, list[Record]],
    config: EvaluateConfig,
) -> tuple[dict[str, pd.DataFrame], dict[str, dict[str, Value]]]:
    """Per-sample values and summaries of each model.

    Args:
        measured: name -> tables; "full" and "retain" must be among the names.
        records: of the benchmark.
        sets: evaluation sets to which everybody is restricted, see `lethe.evaluation.sets`.
        config: settings of the metrics.

    Returns:
        name -> table of `lethe.metrics.samples.samples`; name -> summary by `lethe.metrics.summary.summarise`.
    """
    tables = {
        who: samples(
            Measured(restrict(tokens, sets), restrict(generations, sets), records, config.min_k, config.ou_compat)
        )
        for who, (tokens, generations) in measured.items()
    }
    summaries = {who: summarise(table, tables["retain"], tables["full"]) for who, table in tables.items()}
    return tables, summaries
