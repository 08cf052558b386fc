from lethe.analysis.next_tokens import likeliest_along
from lethe.script import limit_threads, setup

setup(snakemake)
limit_threads(snakemake.threads)
likeliest_along(snakemake.input, snakemake.output[0], snakemake.config, snakemake.wildcards, snakemake.resources.gpu)
