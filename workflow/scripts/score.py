from pydantic import TypeAdapter

from lethe.benchmarks.prepared import read_data
from lethe.config import FormList, PromptConfig
from lethe.io import read_table, write_table
from lethe.models import sources as models
from lethe.models.device import autocast_dtype, choose_device
from lethe.models.prompts import Encoder
from lethe.provenance import provenance
from lethe.script import limit_threads, setup
from lethe.tokens.score import score_table

setup(snakemake)
limit_threads(snakemake.threads)
rows = read_data(snakemake.input.data).forget(snakemake.wildcards.split)
model, tokenizer = models.load(snakemake.input.model)
device = choose_device(snakemake.resources.gpu)
encoder = Encoder(tokenizer, PromptConfig(**snakemake.params.prompt), models.context_length(model.config))
dtype = autocast_dtype(snakemake.params.precision, device)
table = read_table(snakemake.input.table)
forms = TypeAdapter(FormList).validate_python(snakemake.params.forms)
placed = models.place(model, device, dtype)
scored = score_table(placed, encoder, rows, table, snakemake.params.temperatures, dtype, forms)
write_table(snakemake.output[0], scored, provenance(snakemake.config))
