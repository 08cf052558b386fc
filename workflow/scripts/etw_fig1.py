from pathlib import Path

from lethe.analysis.next_tokens import choose_positions, choose_sample, next_tokens
from lethe.benchmarks.prepared import read_data
from lethe.config import PromptConfig
from lethe.figures import etw_fig1, style
from lethe.io import read_table, write_table
from lethe.models import sources as models
from lethe.models.device import autocast_dtype, choose_device
from lethe.models.prompts import Encoder
from lethe.provenance import provenance
from lethe.script import limit_threads, setup
from lethe.tokens.shown_samples import check_wanted

setup(snakemake)
limit_threads(snakemake.threads)
params = snakemake.params
tokens, data = read_table(snakemake.input.table), read_data(snakemake.input.data)
check_wanted(params.samples, data)
sample = choose_sample(tokens, params.samples, params.label)
positions = choose_positions(tokens, sample, params.label)
(row,) = [row for row in data.forget(snakemake.wildcards.split) if row.id == sample]
model, tokenizer = models.load(snakemake.input.model)
device = choose_device(snakemake.resources.gpu)
encoder = Encoder(tokenizer, PromptConfig(**params.prompt), models.context_length(model.config))
dtype = autocast_dtype(params.precision, device)
table = next_tokens(models.place(model, device, dtype), encoder, row, params.k, dtype)
write_table(snakemake.output.table, table, provenance(snakemake.config))
style.save(etw_fig1.draw(table, positions, row.prompt or ""), Path(snakemake.output.svg).with_suffix(""))
