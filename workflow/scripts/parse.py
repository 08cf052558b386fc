from lethe.benchmarks.prepared import read_data
from lethe.io import read_table, write_table
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tokens.parse import parse

setup(snakemake)
rows = read_data(snakemake.input.data).rows
table = parse(read_table(snakemake.input.table), rows, snakemake.params.parser)
write_table(snakemake.output[0], table, provenance(snakemake.config))
