from lethe.benchmarks.prepared import read_data
from lethe.config import read_labels
from lethe.io import read_table, write_table
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tokens.annotate import annotate

setup(snakemake)
labels = read_labels(snakemake.params.labels)
table = annotate(read_table(snakemake.input.table), read_data(snakemake.input.data), labels)
write_table(snakemake.output[0], table, provenance(snakemake.config))
