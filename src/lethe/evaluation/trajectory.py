"""Metrics by epoch: where a run goes in the plane of utility against forgetting."""

from collections.abc import Mapping

import pandas as pd

from lethe.benchmarks import Benchmark
from lethe.benchmarks.contract import Probe
from lethe.config import EvaluationConfig
from lethe.evaluation.evaluate import Tables, evaluate
from lethe.evaluation.runs import run_row


def trajectory(
    benchmark: Benchmark,
    model: str,
    split: str,
    runs: Mapping[str, Tables],
    references: Mapping[str, Tables],
    probes: list[Probe],
    config: EvaluationConfig,
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
