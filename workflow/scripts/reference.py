from lethe import models, reference
from lethe.benchmarks.records import read_records, retain_split, select
from lethe.config import PromptConfig
from lethe.device import autocast_dtype, choose_device
from lethe.prompts import Encoder
from lethe.script import limit_threads, setup

setup(snakemake)
limit_threads(snakemake.threads)
rows = select(read_records(snakemake.input.records), "full", retain_split(snakemake.wildcards.split))
model, tokenizer = models.load(snakemake.input.model)
device = choose_device(snakemake.resources.gpu)
encoder = Encoder(tokenizer, PromptConfig(**snakemake.params.prompt), models.context_length(model))
dtype = autocast_dtype(snakemake.params.precision, device)
reference.save(reference.compute(model.to(device), encoder.examples(rows), dtype), snakemake.output[0])
