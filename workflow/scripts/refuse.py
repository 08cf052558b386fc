from lethe.benchmarks.records import read_records, select
from lethe.benchmarks.refusals import read_lines, refuse
from lethe.config import PromptConfig
from lethe.io import write_table
from lethe.models.ready import ready
from lethe.provenance import provenance
from lethe.script import limit_threads, setup
from lethe.tokens.score import score_table
from lethe.tokens.tokenise import token_table

setup(snakemake)
limit_threads(snakemake.threads)
params = snakemake.params
forget = select(read_records(snakemake.input.records), "full", snakemake.wildcards.split)
rows = refuse(forget, read_lines(params.lines), params.seed)
model, encoder, dtype = ready(
    snakemake.input.model, PromptConfig(**params.prompt), params.precision, snakemake.resources.gpu
)
scored = score_table(model, encoder, rows, token_table(encoder, rows), [], dtype)
write_table(snakemake.output[0], scored, provenance(snakemake.config))
