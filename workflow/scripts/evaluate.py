from lethe.evaluation.evaluate import evaluate_runs
from lethe.script import setup

setup(snakemake)
evaluate_runs(snakemake.input, snakemake.output, snakemake.params.who, snakemake.config, snakemake.wildcards)
