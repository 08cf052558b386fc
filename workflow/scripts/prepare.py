from pydantic import TypeAdapter

from lethe.benchmarks import BenchmarkConfig, prepare
from lethe.benchmarks.prepared import write_data
from lethe.config import load
from lethe.io import write_json
from lethe.script import setup

setup(snakemake)
config = TypeAdapter(BenchmarkConfig).validate_python(snakemake.params.benchmark)
# Splits are not a parameter: a new one must not rerun the others.
data = prepare(config, snakemake.params.seed, load(snakemake.config).splits)
write_data(snakemake.output.data, data)
write_json(snakemake.output.source, {"benchmark": data.benchmark, **data.origin})
