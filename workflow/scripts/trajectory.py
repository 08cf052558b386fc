from lethe.benchmarks.records import read_records
from lethe.config import EvaluationConfig
from lethe.evaluation.sets import epoch_sets, evaluation_sets
from lethe.evaluation.trajectory import trajectory
from lethe.io import read_table, write_table
from lethe.provenance import provenance
from lethe.script import setup

setup(snakemake)
source, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
config = EvaluationConfig(**params.evaluation)
records = read_records(source.records)
sets = epoch_sets(evaluation_sets(records, [wildcards.split], params.study_splits, config.limits), config.epoch_limits)


def read(tokens, generations):
    return read_table(tokens), read_table(generations)


references = {
    who: read(tokens, generations)
    for who, tokens, generations in zip(
        ["full", "retain"], source.reference_tokens, source.reference_generations, strict=True
    )
}
runs = {
    run: read(tokens, generations)
    for run, tokens, generations in zip(params.runs, source.tokens, source.generations, strict=True)
}
table = trajectory(wildcards.model, wildcards.split, runs, references, records, sets, config)
write_table(snakemake.output[0], table, provenance(snakemake.config))
