from lethe.benchmarks.records import read_records, select
from lethe.config import PromptConfig
from lethe.io import read_table, write_table
from lethe.models.ready import ready
from lethe.provenance import provenance
from lethe.script import limit_threads, setup
from lethe.tokens.embedding_noise import disturb
from lethe.tokens.table import join

setup(snakemake)
limit_threads(snakemake.threads)
params = snakemake.params
rows = select(read_records(snakemake.input.records), "full", snakemake.wildcards.split)
model, encoder, dtype = ready(
    snakemake.input.model, PromptConfig(**params.prompt), params.precision, snakemake.resources.gpu
)
disturbed = disturb(model, encoder.examples(rows), params.passes, params.scale, params.seed, dtype)
table = join([read_table(snakemake.input.table), disturbed])
write_table(snakemake.output[0], table, provenance(snakemake.config))
