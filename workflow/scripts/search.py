import json

import pandas as pd

from lethe.benchmarks.records import read_records
from lethe.config import EvaluationConfig
from lethe.evaluation.evaluate import evaluate
from lethe.evaluation.runs import run_row
from lethe.evaluation.sets import evaluation_sets
from lethe.io import read_table, write_json, write_table
from lethe.provenance import provenance
from lethe.script import setup
from lethe.selection import select

setup(snakemake)
source, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
config = EvaluationConfig(**params.evaluation)
records = read_records(source.records)
sets = evaluation_sets(records, [wildcards.split], params.study_splits, config.limits)
who = ["full", "retain", *params.points]
measured = {
    name: (read_table(tokens), read_table(generations))
    for name, tokens, generations in zip(who, source.tokens, source.generations, strict=True)
}
_, summaries = evaluate(measured, records, sets, config)
runs = pd.DataFrame(
    [
        {
            **run_row(wildcards.model, wildcards.split, f"{wildcards.method}/seed{params.seed}", summaries[point]),
            "point": point,
            "parameters": json.dumps(parameters),
        }
        for point, parameters in params.points.items()
    ]
)
point, why = select(runs, params.rule)
write_table(snakemake.output.runs, runs.assign(chosen=runs["point"] == point), provenance(snakemake.config))
chosen = {"point": point, "rule": params.rule, "seed": params.seed, "why": why, "method": params.methods[point]}
write_json(snakemake.output.chosen, chosen)
