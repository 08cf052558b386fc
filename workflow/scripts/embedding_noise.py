from lethe.benchmarks.prepared import read_data
from lethe.io import read_table, write_table
from lethe.models.ready import ready_for
from lethe.provenance import provenance
from lethe.script import setup
from lethe.tokens.embedding_noise import noisy_information
from lethe.tokens.table import join

setup(snakemake)
params = snakemake.params
model, encoder, dtype = ready_for(snakemake)
examples = encoder.examples(read_data(snakemake.input.data).forget(snakemake.wildcards.split))
noisy = noisy_information(model, examples, params.noise["passes"], params.noise["scale"], params.seed, dtype)
write_table(snakemake.output[0], join([read_table(snakemake.input.table), noisy]), provenance(snakemake.config))
