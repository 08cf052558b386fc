from dataclasses import asdict

from lethe.benchmarks.prepared import read_data
from lethe.config import EvaluationConfig, PromptConfig, load
from lethe.evaluation.measure import measure
from lethe.evaluation.sets import asked
from lethe.io import write_json, write_table
from lethe.models import sources as models
from lethe.models.device import autocast_dtype, choose_device, machine
from lethe.models.prompts import Encoder
from lethe.provenance import provenance
from lethe.script import limit_threads, setup

setup(snakemake)
limit_threads(snakemake.threads)
# Not a parameter: it changes speed and memory, not values, and must not rerun what is measured.
tokens_per_batch = load(snakemake.config).evaluation.tokens_per_batch
config = EvaluationConfig(**snakemake.params.evaluation, tokens_per_batch=tokens_per_batch)
data = read_data(snakemake.input.data)
probes = asked(data, snakemake.params.splits, snakemake.params.study_splits, config.limits)
model, tokenizer = models.load(snakemake.input.model)
device = choose_device(snakemake.resources.gpu)
encoder = Encoder(tokenizer, PromptConfig(**snakemake.params.prompt), models.context_length(model.config))
dtype = autocast_dtype(config.precision, device)
tokens, generations, cost = measure(models.place(model, device, dtype), encoder, probes, config, dtype)
origin = {**provenance(snakemake.config), "machine": machine(snakemake.resources.gpu, config.precision)}
write_table(snakemake.output.tokens, tokens, origin)
write_table(snakemake.output.generations, generations, origin)
write_json(snakemake.output.cost, {phase: asdict(value) for phase, value in cost.items()})
