from lethe.evaluation.trajectory import evaluate_epochs
from lethe.script import setup

setup(snakemake)
evaluate_epochs(snakemake.input, snakemake.output[0], snakemake.params.runs, snakemake.config, snakemake.wildcards)
