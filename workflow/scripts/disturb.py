from lethe.benchmarks.prepared import read_data
from lethe.config import PromptConfig
from lethe.io import read_table, write_table
from lethe.models import sources as models
from lethe.models.device import autocast_dtype, choose_device
from lethe.models.prompts import Encoder
from lethe.provenance import provenance
from lethe.script import limit_threads, setup
from lethe.tokens.embedding_noise import disturb
from lethe.tokens.table import join

setup(snakemake)
limit_threads(snakemake.threads)
params = snakemake.params
rows = read_data(snakemake.input.data).forget(snakemake.wildcards.split)
model, tokenizer = models.load(snakemake.input.model)
device = choose_device(snakemake.resources.gpu)
encoder = Encoder(tokenizer, PromptConfig(**params.prompt), models.context_length(model.config))
dtype = autocast_dtype(params.precision, device)
placed = models.place(model, device, dtype)
disturbed = disturb(placed, encoder.examples(rows), params.passes, params.scale, params.seed, dtype)
table = join([read_table(snakemake.input.table), disturbed])
write_table(snakemake.output[0], table, provenance(snakemake.config))
