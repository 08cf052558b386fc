"""Metrics by epoch: where a run goes in the plane of utility against forgetting."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from lethe.benchmarks import Benchmark
from lethe.benchmarks.contract import Probe
from lethe.benchmarks.prepared import read_data
from lethe.config import EvaluateConfig, load
from lethe.evaluation.evaluate import Tables, evaluate
from lethe.evaluation.runs import run_row
from lethe.evaluation.sets import asked, thinned
from lethe.io import read_table, write_table
from lethe.provenance import provenance


def trajectory(
    benchmark: Benchmark,
    model: str,
    split: str,
    runs: Mapping[str, Tables],
    references: Mapping[str, Tables],
    probes: list[Probe],
    config: EvaluateConfig,
) -> pd.DataFrame:
    """Metrics by epoch: a row per run and measured epoch as in `run_row`, with column `epoch`.

    Epoch 0, which all runs begin with, is the full model.

    Args:
        benchmark: whose metrics are computed.
        model, split: of the runs.
        runs: `<method>/seed<n>` -> tables with a column `epoch`.
        references: "full" and, where there is one, "retain" -> tables; measured once, they have no epoch. Where the
            runs have no generations (cheap suite), theirs are left out too: a metric means the same in every row.
        probes, config: as in `lethe.evaluation.evaluate.evaluate`; `probes` are those measured during training.
    """
    if all(generations.empty for _, generations in runs.values()):
        references = {who: (tokens, generations.iloc[:0]) for who, (tokens, generations) in references.items()}
    measured = dict(references)
    for run, (tokens, generations) in runs.items():
        for epoch in tokens["epoch"].unique():
            measured[f"{run}@{epoch}"] = (
                tokens[tokens["epoch"] == epoch],
                generations[generations["epoch"] == epoch],
            )
    _, summaries = evaluate(benchmark, measured, probes, config)
    rows = [{**run_row(model, split, who, summaries[who]), "epoch": None} for who in references]
    for run, (tokens, _) in runs.items():
        rows.append({**run_row(model, split, run, summaries["full"]), "epoch": 0})
        for epoch in tokens["epoch"].unique():
            rows.append({**run_row(model, split, run, summaries[f"{run}@{epoch}"]), "epoch": int(epoch)})
    return pd.DataFrame(rows).astype({"seed": "Int64", "epoch": "Int64"})


def evaluate_epochs(
    source: Mapping[str, Any], target: str, runs: list[str], config: Mapping, place: Mapping[str, str]
) -> None:
    """The rule `trajectory`: metrics by epoch of all runs of a model and split.

    Args:
        source: data; tokens and generations by epoch of each run, in the order of `runs`; reference_tokens and
            reference_generations of the reference models.
        target: path of the table.
        runs: `<method>/seed<n>`, …
        config: the study's config as Snakemake has it.
        place: model and split.
    """
    study = load(config)
    probes = asked(read_data(source["data"]), [place["split"]], study.splits, study.measure.limits)
    probes = thinned(probes, study.measure.during)

    def tables(names: Iterable[str], tokens: list[str], generations: list[str]) -> dict[str, Tables]:
        return {
            name: (read_table(own), read_table(said))
            for name, own, said in zip(names, tokens, generations, strict=True)
        }

    references = tables(study.task.references, source["reference_tokens"], source["reference_generations"])
    measured = tables(runs, source["tokens"], source["generations"])
    at = (place["model"], place["split"])
    table = trajectory(study.task, *at, measured, references, probes, study.evaluate)
    write_table(target, table, provenance(config))
