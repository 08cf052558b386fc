import pandas as pd

from lethe.benchmarks.records import read_records
from lethe.io import read_table, write_json, write_table
from lethe.measure import evaluation_sets, restrict
from lethe.metrics.samples import Measured, samples
from lethe.metrics.summary import summarise, to_json
from lethe.provenance import provenance
from lethe.results import run_row
from lethe.script import setup

setup(snakemake)
evaluation, wildcards = snakemake.params.evaluation, snakemake.wildcards
records = read_records(snakemake.input.records)
sets = evaluation_sets(records, [wildcards.split], snakemake.params.study_splits, evaluation["limits"])
tables = {
    who: samples(
        Measured(
            restrict(read_table(tokens), sets),
            restrict(read_table(generations), sets),
            records,
            evaluation["min_k"],
            evaluation["ou_compat"],
        )
    )
    for who, tokens, generations in zip(
        snakemake.params.who, snakemake.input.tokens, snakemake.input.generations, strict=True
    )
}
summaries = {who: summarise(table, tables["retain"], tables["full"]) for who, table in tables.items()}
origin = provenance(snakemake.config)
every_sample = pd.concat([table.assign(run=who) for who, table in tables.items()], ignore_index=True)
write_table(snakemake.output.samples, every_sample, origin)
runs = pd.DataFrame([run_row(wildcards.model, wildcards.split, who, s) for who, s in summaries.items()])
write_table(snakemake.output.runs, runs, origin)
write_json(
    snakemake.output.summary,
    {"runs": {who: to_json(summary) for who, summary in summaries.items()}, "provenance": origin},
)
