from pydantic import TypeAdapter

from lethe.benchmarks import BENCHMARKS, SOURCES
from lethe.benchmarks.records import retain_split, select, write_records
from lethe.config import BenchmarkConfig
from lethe.io import write_json
from lethe.provenance import provenance
from lethe.script import setup

setup(snakemake)
config = TypeAdapter(BenchmarkConfig).validate_python(snakemake.params.benchmark)
records = BENCHMARKS[config.name](config, snakemake.params.seed)
for split in snakemake.params.splits:  # an empty split stops the study here, before any training
    select(records, "full", split)
    select(records, "full", retain_split(split))
write_records(snakemake.output.records, records, provenance(snakemake.config))
write_json(snakemake.output.source, {"benchmark": config.name, **SOURCES[config.name](config)})
