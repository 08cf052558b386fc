from lethe.benchmarks.prepared import read_data
from lethe.config import PromptConfig
from lethe.io import write_table
from lethe.models.prompts import encoder_of
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tokens.tokenise import token_table

setup(snakemake)
rows = read_data(snakemake.input.data).forget(snakemake.wildcards.split)
encoder = encoder_of(snakemake.input.model, PromptConfig(**snakemake.params.prompt))
write_table(snakemake.output[0], token_table(encoder, rows), provenance(snakemake.config))
