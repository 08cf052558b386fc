from lethe.script import limit_threads, setup
from lethe.training.search import choose

setup(snakemake)
limit_threads(snakemake.threads)
choose(snakemake.input, snakemake.output, snakemake.config, snakemake.wildcards, snakemake.resources.gpu)
