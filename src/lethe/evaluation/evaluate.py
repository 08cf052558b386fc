"""From what was measured on several models of a study to every metric of each; no model is run.

The full model, and the retain model where the benchmark has one, are measured like the others and are what forget
quality, ΔMU and PrivLeak compare with, so they are always among them.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lethe.benchmarks import Benchmark
from lethe.benchmarks.contract import Probe
from lethe.benchmarks.prepared import read_data
from lethe.config import EvaluateConfig, load
from lethe.evaluation.runs import run_row
from lethe.evaluation.sets import asked, restrict
from lethe.io import read_table, write_json, write_table
from lethe.metrics import Value
from lethe.metrics.summary import summarise, to_json
from lethe.provenance import provenance

Tables = tuple[pd.DataFrame, pd.DataFrame]
"""`tokens` and `generations` of `lethe.evaluation.measure`."""


def evaluate(
    benchmark: Benchmark,
    measured: Mapping[str, Tables],
    probes: list[Probe],
    config: EvaluateConfig,
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


def evaluate_runs(
    source: Mapping[str, Any], target: Mapping[str, str], who: list[str], config: Mapping, place: Mapping[str, str]
) -> None:
    """The rule `evaluate`: metrics of all runs of a model and split, from their measured tables.

    Args:
        source: data; tokens and generations of each run, in the order of `who`.
        target: samples, runs, summary -> path.
        who: the reference models, then `<method>/seed<n>`, …
        config: the study's config as Snakemake has it.
        place: model and split.
    """
    study = load(config)
    probes = asked(read_data(source["data"]), [place["split"]], study.splits, study.measure.limits)
    paths = zip(who, source["tokens"], source["generations"], strict=True)
    measured = {name: (read_table(tokens), read_table(said)) for name, tokens, said in paths}
    tables, summaries = evaluate(study.task, measured, probes, study.evaluate)
    origin = provenance(config)
    every_sample = pd.concat([table.assign(run=name) for name, table in tables.items()], ignore_index=True)
    write_table(target["samples"], every_sample, origin)
    runs = [run_row(place["model"], place["split"], name, summary) for name, summary in summaries.items()]
    write_table(target["runs"], pd.DataFrame(runs), origin)
    summary = {name: to_json(study.task.metrics, values) for name, values in summaries.items()}
    write_json(target["summary"], {"runs": summary, "provenance": origin})
