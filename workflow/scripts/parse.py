from lethe.benchmarks.records import read_records
from lethe.io import read_table, write_table
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tokens.parse import parse

setup(snakemake)
table = parse(read_table(snakemake.input.table), read_records(snakemake.input.records), snakemake.params.parser)
write_table(snakemake.output[0], table, provenance(snakemake.config))
