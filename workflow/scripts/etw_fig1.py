from pathlib import Path

from lethe import models
from lethe.benchmarks.records import read_records, select
from lethe.config import PromptConfig
from lethe.device import autocast_dtype, choose_device
from lethe.figures import etw_fig1, style
from lethe.io import read_table, write_table
from lethe.next_tokens import choose_positions, choose_sample, next_tokens
from lethe.prompts import Encoder
from lethe.provenance import provenance
from lethe.script import limit_threads, setup

setup(snakemake)
limit_threads(snakemake.threads)
params = snakemake.params
tokens = read_table(snakemake.input.table)
sample = choose_sample(tokens, params.samples, params.label)
positions = choose_positions(tokens, sample, params.label)
rows = select(read_records(snakemake.input.records), "full", snakemake.wildcards.split)
(record,) = [row for row in rows if row.id == sample]
model, tokenizer = models.load(snakemake.input.model)
device = choose_device(snakemake.resources.gpu)
encoder = Encoder(tokenizer, PromptConfig(**params.prompt), models.context_length(model))
dtype = autocast_dtype(params.precision, device)
table = next_tokens(model.to(device), encoder, record, params.k, dtype)
write_table(snakemake.output.table, table, provenance(snakemake.config))
style.save(etw_fig1.draw(table, positions, record.question), Path(snakemake.output.svg).with_suffix(""))
