from lethe.script import limit_threads, setup
from lethe.training.run import unlearn

setup(snakemake)
limit_threads(snakemake.threads)
unlearn(snakemake.input, snakemake.output, snakemake.config, snakemake.wildcards, snakemake.resources.gpu)
