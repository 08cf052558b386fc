from lethe.benchmarks.prepared import read_data
from lethe.config import PromptConfig
from lethe.models import sources as models
from lethe.models.device import autocast_dtype, choose_device
from lethe.models.prompts import Encoder
from lethe.script import limit_threads, setup
from lethe.training import reference
from lethe.training.reference import layer_of

setup(snakemake)
limit_threads(snakemake.threads)
kept, split = snakemake.wildcards.kept, snakemake.wildcards.split
data = read_data(snakemake.input.data)
rows = data.forget(split) if kept == "forget" else data.retain(split)
model, tokenizer = models.load(snakemake.input.model)
device = choose_device(snakemake.resources.gpu)
encoder = Encoder(tokenizer, PromptConfig(**snakemake.params.prompt), models.context_length(model.config))
dtype = autocast_dtype(snakemake.params.precision, device)
states = reference.compute(models.place(model, device, dtype), encoder.examples(rows), dtype, layer_of(kept))
reference.save(states, snakemake.output[0])
