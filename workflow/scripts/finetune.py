from lethe.config import PromptConfig, TrainingConfig
from lethe.provenance import provenance
from lethe.script import limit_threads, setup
from lethe.training.finetune import finetune

setup(snakemake)
limit_threads(snakemake.threads)
params, gpus = snakemake.params, snakemake.resources.gpu
training, prompt = TrainingConfig(**params.training), PromptConfig(**params.prompt)
rows, look = (params.split, params.rehearse), tuple(params.temperatures)
origin = provenance(snakemake.config)
finetune(snakemake.input, snakemake.output, rows, training, prompt, look, params.seed, gpus, origin)
