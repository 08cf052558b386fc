from lethe.benchmarks.records import read_records, select
from lethe.config import PromptConfig
from lethe.models.ready import ready
from lethe.script import limit_threads, setup
from lethe.splits import retain_split
from lethe.training import reference
from lethe.training.reference import layer_of

setup(snakemake)
limit_threads(snakemake.threads)
kept, split = snakemake.wildcards.kept, snakemake.wildcards.split
rows = select(read_records(snakemake.input.records), "full", split if kept == "forget" else retain_split(split))
model, encoder, dtype = ready(
    snakemake.input.model, PromptConfig(**snakemake.params.prompt), snakemake.params.precision, snakemake.resources.gpu
)
states = reference.compute(model, encoder.examples(rows), dtype, layer_of(kept))
reference.save(states, snakemake.output[0])
