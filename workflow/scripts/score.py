from lethe.benchmarks.prepared import read_data
from lethe.config import read_forms
from lethe.io import read_table, write_table
from lethe.models.ready import ready_for
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tokens.score import score_table

setup(snakemake)
rows = read_data(snakemake.input.data).forget(snakemake.wildcards.split)
table, forms = read_table(snakemake.input.table), read_forms(snakemake.params.forms)
model, encoder, dtype = ready_for(snakemake)
scored = score_table(model, encoder, rows, table, snakemake.params.temperatures, dtype, forms)
write_table(snakemake.output[0], scored, provenance(snakemake.config))
