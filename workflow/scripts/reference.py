from lethe.benchmarks.records import read_records, select
from lethe.models.ready import ready_for
from lethe.script import setup
from lethe.splits import retain_split
from lethe.training import reference

setup(snakemake)
kept, split = snakemake.wildcards.kept, snakemake.wildcards.split
rows = select(read_records(snakemake.input.records), "full", split if kept == "forget" else retain_split(split))
model, encoder, dtype = ready_for(snakemake)
states = reference.compute(model, encoder.examples(rows), dtype, reference.layer_of(kept))
reference.save(states, snakemake.output[0])
