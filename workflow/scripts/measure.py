from lethe.script import limit_threads, setup
from lethe.training.run import measure_stored

setup(snakemake)
limit_threads(snakemake.threads)
splits, gpus = snakemake.params.splits, snakemake.resources.gpu
measure_stored(snakemake.input, snakemake.output, snakemake.config, splits, gpus)
