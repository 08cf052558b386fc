from lethe.benchmarks.prepared import read_data
from lethe.models.ready import ready_for
from lethe.script import setup
from lethe.training import reference

setup(snakemake)
kept, split = snakemake.wildcards.kept, snakemake.wildcards.split
data = read_data(snakemake.input.data)
rows = data.forget(split) if kept == "forget" else data.retain(split)
model, encoder, dtype = ready_for(snakemake)
states = reference.compute(model, encoder.examples(rows), dtype, reference.layer_of(kept))
reference.save(states, snakemake.output[0])
