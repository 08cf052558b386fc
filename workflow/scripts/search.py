import json

import pandas as pd

from lethe.benchmarks import BENCHMARKS
from lethe.benchmarks.prepared import read_data
from lethe.config import EvaluationConfig
from lethe.evaluation.evaluate import evaluate
from lethe.evaluation.runs import run_row
from lethe.evaluation.sets import asked
from lethe.io import read_table, write_json, write_table
from lethe.provenance import provenance
from lethe.script import setup
from lethe.selection import select

setup(snakemake)
source, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
config = EvaluationConfig(**params.evaluation)
data = read_data(source.data)
benchmark = BENCHMARKS[data.benchmark]
probes = asked(data, [wildcards.split], params.study_splits, config.limits)
who = [*benchmark.references, *params.points]
measured = {
    name: (read_table(tokens), read_table(generations))
    for name, tokens, generations in zip(who, source.tokens, source.generations, strict=True)
}
_, summaries = evaluate(benchmark, measured, probes, config)
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
point, why = select(runs, params.rule, benchmark)
write_table(snakemake.output.runs, runs.assign(chosen=runs["point"] == point), provenance(snakemake.config))
chosen = {"point": point, "rule": params.rule, "seed": params.seed, "why": why, "method": params.methods[point]}
write_json(snakemake.output.chosen, chosen)
