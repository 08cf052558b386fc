from lethe import models, reference
from lethe.benchmarks.records import read_records, retain_split, select
from lethe.config import MethodConfig, PromptConfig, TrainingConfig
from lethe.device import machine
from lethe.io import read_table, write_table
from lethe.prompts import Encoder
from lethe.provenance import provenance
from lethe.script import limit_threads, setup
from lethe.tokens import join
from lethe.train import train
from lethe.unlearn import Unlearning

setup(snakemake)
limit_threads(snakemake.threads)
seed, split = int(snakemake.wildcards.seed), snakemake.wildcards.split
records = read_records(snakemake.input.records)
model, tokenizer = models.load(snakemake.input.model)
encoder = Encoder(tokenizer, PromptConfig(**snakemake.params.prompt), models.context_length(model))
method = MethodConfig(**snakemake.params.method)
task = Unlearning(
    method,
    forget=encoder.examples(select(records, "full", split)),
    retain=encoder.examples(select(records, "full", retain_split(split))),
    table=join(map(read_table, snakemake.input.tables)),
    seed=seed,
    hidden_size=model.config.hidden_size,
    reference=reference.read(snakemake.input.reference) if method.retain.reference else None,
)
training = TrainingConfig(**snakemake.params.training)
log = train(model, task, len(task.forget), training, seed, snakemake.resources.gpu)
models.save(model, tokenizer, snakemake.output.model)
origin = {**provenance(snakemake.config), "machine": machine(snakemake.resources.gpu, training.precision)}
write_table(snakemake.output.log, log, origin)
