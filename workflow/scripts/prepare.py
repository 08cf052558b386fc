from lethe.benchmarks import prepare
from lethe.benchmarks.prepared import write_data
from lethe.config import load, read_benchmark
from lethe.io import write_json
from lethe.script import setup

setup(snakemake)
# Splits are not a parameter: a new one must not rerun the others.
splits = load(snakemake.config).splits
data = prepare(read_benchmark(snakemake.params.benchmark), snakemake.params.seed, splits)
write_data(snakemake.output.data, data)
write_json(snakemake.output.source, {"benchmark": data.benchmark, **data.origin})
