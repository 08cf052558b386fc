from lethe.benchmarks.prepared import read_data
from lethe.benchmarks.refusals import read_lines, refuse
from lethe.io import write_table
from lethe.models.ready import ready_for
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tokens.score import score_table
from lethe.tokens.tokenise import token_table

setup(snakemake)
forget = read_data(snakemake.input.data).forget(snakemake.wildcards.split)
rows = refuse(forget, read_lines(snakemake.params.lines), snakemake.params.seed)
model, encoder, dtype = ready_for(snakemake)
scored = score_table(model, encoder, rows, token_table(encoder, rows), [], dtype)
write_table(snakemake.output[0], scored, provenance(snakemake.config))
