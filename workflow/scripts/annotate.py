from pydantic import TypeAdapter

from lethe.benchmarks.records import read_records
from lethe.config import LabelConfig
from lethe.io import read_table, write_table
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tokens.annotate import annotate

setup(snakemake)
adapter = TypeAdapter(LabelConfig)
labels = {name: adapter.validate_python(label) for name, label in snakemake.params.labels.items()}
table = annotate(read_table(snakemake.input.table), read_records(snakemake.input.records), labels)
write_table(snakemake.output[0], table, provenance(snakemake.config))
