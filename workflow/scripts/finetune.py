from lethe import models
from lethe.benchmarks.records import fine_tuning_rows, read_records
from lethe.config import PromptConfig, TrainingConfig
from lethe.device import machine
from lethe.io import write_table
from lethe.prompts import Encoder
from lethe.provenance import provenance
from lethe.script import limit_threads, setup
from lethe.train import FineTuning, train

setup(snakemake)
limit_threads(snakemake.threads)
records = read_records(snakemake.input.records)
rows = fine_tuning_rows(records, snakemake.wildcards.data, snakemake.params.rehearse)
model, tokenizer = models.load(snakemake.input.model)
encoder = Encoder(tokenizer, PromptConfig(**snakemake.params.prompt), models.context_length(model))
examples = encoder.examples(rows)
training = TrainingConfig(**snakemake.params.training)
log = train(model, FineTuning(examples), len(examples), training, snakemake.params.seed, snakemake.resources.gpu)
models.save(model, tokenizer, snakemake.output.model)
origin = {**provenance(snakemake.config), "machine": machine(snakemake.resources.gpu, training.precision)}
write_table(snakemake.output.log, log, origin)
