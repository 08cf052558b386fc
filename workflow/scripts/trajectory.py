from lethe.benchmarks import BENCHMARKS
from lethe.benchmarks.prepared import read_data
from lethe.config import EvaluationConfig
from lethe.evaluation.sets import asked, thinned
from lethe.evaluation.trajectory import trajectory
from lethe.io import read_table, write_table
from lethe.provenance import provenance
from lethe.script import setup

setup(snakemake)
source, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
config = EvaluationConfig(**params.evaluation)
data = read_data(source.data)
benchmark = BENCHMARKS[data.benchmark]
probes = thinned(asked(data, [wildcards.split], params.study_splits, config.limits), config.epoch_limits)


def read(tokens, generations):
    return read_table(tokens), read_table(generations)


references = {
    who: read(tokens, generations)
    for who, tokens, generations in zip(
        benchmark.references, source.reference_tokens, source.reference_generations, strict=True
    )
}
runs = {
    run: read(tokens, generations)
    for run, tokens, generations in zip(params.runs, source.tokens, source.generations, strict=True)
}
table = trajectory(benchmark, wildcards.model, wildcards.split, runs, references, probes, config)
write_table(snakemake.output[0], table, provenance(snakemake.config))
