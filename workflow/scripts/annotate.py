from pydantic import TypeAdapter

from lethe.benchmarks.prepared import read_data
from lethe.config import LabelConfig
from lethe.io import read_table, write_table
from lethe.labels import annotate
from lethe.provenance import provenance
from lethe.script import setup

setup(snakemake)
adapter = TypeAdapter(LabelConfig)
labels = {name: adapter.validate_python(label) for name, label in snakemake.params.labels.items()}
table = annotate(read_table(snakemake.input.table), read_data(snakemake.input.data), labels)
write_table(snakemake.output[0], table, provenance(snakemake.config))
