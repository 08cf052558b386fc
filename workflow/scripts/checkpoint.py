from lethe.config import CheckpointConfig
from lethe.io import write_json
from lethe.models import sources as models
from lethe.script import setup

setup(snakemake)
model, tokenizer, source = models.obtain(CheckpointConfig(**snakemake.params.checkpoint))
source["parameters"] = sum(parameter.numel() for parameter in model.parameters())
models.save(model, tokenizer, snakemake.output.model)
write_json(snakemake.output.source, source)
