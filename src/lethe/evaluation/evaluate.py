"""From what was measured on several models of a study to every metric of each; no model is run.

The retain model and the full model are measured like the others and are what forget quality, ΔMU and PrivLeak compare
with, so they are always among them.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lethe.benchmarks.records import Record, read_records
from lethe.config import EvaluateConfig, load
from lethe.evaluation.runs import run_row
from lethe.evaluation.sets import evaluation_sets, restrict
from lethe.io import read_table, write_json, write_table
from lethe.metrics import Value
from lethe.metrics.samples import Measured, samples
from lethe.metrics.summary import summarise, to_json
from lethe.provenance import provenance

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


def evaluate_runs(
    source: Mapping[str, Any], target: Mapping[str, str], who: list[str], config: Mapping, place: Mapping[str, str]
) -> None:
    """The rule `evaluate`: metrics of all runs of a model and split, from their measured tables.

    Args:
        source: records; tokens and generations of each run, in the order of `who`.
        target: samples, runs, summary -> path.
        who: full, retain, `<method>/seed<n>`, …
        config: the study's config as Snakemake has it.
        place: model and split.
    """
    study = load(config)
    records = read_records(source["records"])
    sets = evaluation_sets(records, [place["split"]], study.splits, study.measure.limits)
    paths = zip(who, source["tokens"], source["generations"], strict=True)
    measured = {name: (read_table(tokens), read_table(said)) for name, tokens, said in paths}
    tables, summaries = evaluate(measured, records, sets, study.evaluate)
    origin = provenance(config)
    every_sample = pd.concat([table.assign(run=name) for name, table in tables.items()], ignore_index=True)
    write_table(target["samples"], every_sample, origin)
    runs = [run_row(place["model"], place["split"], name, summary) for name, summary in summaries.items()]
    write_table(target["runs"], pd.DataFrame(runs), origin)
    summary = {name: to_json(values) for name, values in summaries.items()}
    write_json(target["summary"], {"runs": summary, "provenance": origin})
