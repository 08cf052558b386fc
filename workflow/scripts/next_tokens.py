from lethe.analysis.next_tokens import next_tokens
from lethe.analysis.token_choice import choose_record
from lethe.benchmarks.records import read_records
from lethe.io import read_table, write_table
from lethe.models.ready import ready_for
from lethe.provenance import provenance
from lethe.script import setup

setup(snakemake)
tokens, records = read_table(snakemake.input.table), read_records(snakemake.input.records)
record = choose_record(tokens, records, snakemake.params.samples, snakemake.params.label)
model, encoder, dtype = ready_for(snakemake)
table = next_tokens(model, encoder, record, snakemake.params.likeliest, dtype)
write_table(snakemake.output[0], table, provenance(snakemake.config))
