import pandas as pd

from lethe.benchmarks import BENCHMARKS
from lethe.benchmarks.prepared import read_data
from lethe.config import EvaluationConfig
from lethe.evaluation.evaluate import evaluate
from lethe.evaluation.runs import run_row
from lethe.evaluation.sets import asked
from lethe.io import read_table, write_json, write_table
from lethe.metrics.summary import to_json
from lethe.provenance import provenance
from lethe.script import setup

setup(snakemake)
source, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
config = EvaluationConfig(**params.evaluation)
data = read_data(source.data)
benchmark = BENCHMARKS[data.benchmark]
probes = asked(data, [wildcards.split], params.study_splits, config.limits)
measured = {
    who: (read_table(tokens), read_table(generations))
    for who, tokens, generations in zip(params.who, source.tokens, source.generations, strict=True)
}
tables, summaries = evaluate(benchmark, measured, probes, config)
origin = provenance(snakemake.config)
every_sample = pd.concat([table.assign(run=who) for who, table in tables.items()], ignore_index=True)
write_table(snakemake.output.samples, every_sample, origin)
runs = pd.DataFrame([run_row(wildcards.model, wildcards.split, who, s) for who, s in summaries.items()])
write_table(snakemake.output.runs, runs, origin)
write_json(
    snakemake.output.summary,
    {"runs": {who: to_json(benchmark.metrics, summary) for who, summary in summaries.items()}, "provenance": origin},
)
