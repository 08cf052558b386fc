from lethe.analysis.next_tokens import next_tokens
from lethe.analysis.token_choice import choose_row
from lethe.benchmarks.prepared import read_data
from lethe.io import read_table, write_table
from lethe.models.ready import ready_for
from lethe.provenance import provenance
from lethe.script import setup

setup(snakemake)
tokens, data = read_table(snakemake.input.table), read_data(snakemake.input.data)
row = choose_row(tokens, data, snakemake.params.samples, snakemake.params.label)
model, encoder, dtype = ready_for(snakemake)
table = next_tokens(model, encoder, row, snakemake.params.likeliest, dtype)
write_table(snakemake.output[0], table, provenance(snakemake.config))
