from pydantic import TypeAdapter

from lethe.benchmarks.prepared import read_data
from lethe.config import ModelConfig, PromptConfig, ScratchConfig
from lethe.io import write_json
from lethe.models import sources as models
from lethe.models.prompts import Encoder
from lethe.script import limit_threads, setup
from lethe.training.loop import FineTuning, train

setup(snakemake)
limit_threads(snakemake.threads)
config = TypeAdapter(ModelConfig).validate_python(snakemake.params.model)
prompt = PromptConfig(**snakemake.params.prompt)
seed = snakemake.params.seed
if isinstance(config, ScratchConfig):
    world = list(read_data(snakemake.input.data).world)
    model, tokenizer = models.scratch(config, world, prompt, seed)
    examples = Encoder(tokenizer, prompt, models.context_length(model.config)).examples(world)
    log = train(model, FineTuning(examples), len(examples), config.training, seed, snakemake.resources.gpu)
    source = {"scratch": config.model_dump(mode="json"), "last_loss_nats": float(log["loss"].iloc[-1])}
else:
    model, tokenizer, source = models.obtain(config)
source["parameters"] = sum(parameter.numel() for parameter in model.parameters())
models.save(model, tokenizer, snakemake.output.model)
write_json(snakemake.output.source, source)
