from transformers import AutoConfig, AutoTokenizer

from lethe.benchmarks.prepared import read_data
from lethe.config import PromptConfig
from lethe.io import write_table
from lethe.models import sources as models
from lethe.models.prompts import Encoder
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tokens.tokenise import token_table

setup(snakemake)
rows = read_data(snakemake.input.data).forget(snakemake.wildcards.split)
tokenizer = AutoTokenizer.from_pretrained(snakemake.input.model, local_files_only=True)
config = AutoConfig.from_pretrained(snakemake.input.model, local_files_only=True)
encoder = Encoder(tokenizer, PromptConfig(**snakemake.params.prompt), models.context_length(config))
write_table(snakemake.output[0], token_table(encoder, rows), provenance(snakemake.config))
