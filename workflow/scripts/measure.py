from dataclasses import asdict

from lethe.benchmarks.records import read_records
from lethe.config import EvaluationConfig, PromptConfig, load
from lethe.evaluation.measure import measure
from lethe.evaluation.sets import evaluation_sets
from lethe.io import write_json, write_table
from lethe.models.device import machine
from lethe.models.ready import ready
from lethe.provenance import provenance
from lethe.script import limit_threads, setup

setup(snakemake)
limit_threads(snakemake.threads)
# Not a parameter: it changes speed and memory, not values, and must not rerun what is measured.
tokens_per_batch = load(snakemake.config).evaluation.tokens_per_batch
config = EvaluationConfig(**snakemake.params.evaluation, tokens_per_batch=tokens_per_batch)
records = read_records(snakemake.input.records)
sets = evaluation_sets(records, snakemake.params.splits, snakemake.params.study_splits, config.limits)
model, encoder, dtype = ready(
    snakemake.input.model, PromptConfig(**snakemake.params.prompt), config.precision, snakemake.resources.gpu
)
tokens, generations, cost = measure(model, encoder, sets, config, dtype)
origin = {**provenance(snakemake.config), "machine": machine(snakemake.resources.gpu, config.precision)}
write_table(snakemake.output.tokens, tokens, origin)
write_table(snakemake.output.generations, generations, origin)
write_json(snakemake.output.cost, {phase: asdict(value) for phase, value in cost.items()})
