from lethe.config import PromptConfig, read_model
from lethe.script import limit_threads, setup
from lethe.training.finetune import base

setup(snakemake)
limit_threads(snakemake.threads)
params, gpus = snakemake.params, snakemake.resources.gpu
model, prompt = read_model(params.model), PromptConfig(**params.prompt)
base(snakemake.input.data, snakemake.output, model, prompt, params.seed, gpus)
