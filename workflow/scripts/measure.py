from dataclasses import asdict

from lethe import models
from lethe.benchmarks.records import read_records
from lethe.config import EvaluationConfig, PromptConfig
from lethe.device import autocast_dtype, choose_device
from lethe.io import write_json, write_table
from lethe.measure import evaluation_sets, measure
from lethe.prompts import Encoder
from lethe.provenance import provenance
from lethe.script import limit_threads, setup

setup(snakemake)
limit_threads(snakemake.threads)
config = EvaluationConfig(**snakemake.params.evaluation)
records = read_records(snakemake.input.records)
sets = evaluation_sets(records, snakemake.params.splits, snakemake.params.study_splits, config.limits)
model, tokenizer = models.load(snakemake.input.model)
device = choose_device(snakemake.resources.gpu)
encoder = Encoder(tokenizer, PromptConfig(**snakemake.params.prompt), models.context_length(model))
dtype = autocast_dtype(config.precision, device)
tokens, generations, cost = measure(model.to(device), encoder, sets, config, dtype)
origin = provenance(snakemake.config)
write_table(snakemake.output.tokens, tokens, origin)
write_table(snakemake.output.generations, generations, origin)
write_json(snakemake.output.cost, {phase: asdict(value) for phase, value in cost.items()})
