from lethe.benchmarks.prepared import read_data
from lethe.config import PromptConfig, TrainingConfig
from lethe.io import write_table
from lethe.models import sources as models
from lethe.models.device import machine
from lethe.models.prompts import Encoder
from lethe.provenance import provenance
from lethe.script import limit_threads, setup
from lethe.training.loop import FineTuning, train
from lethe.training.recorders import Recorder, look_at_tokens

setup(snakemake)
limit_threads(snakemake.threads)
data = read_data(snakemake.input.data)
rows = data.fine_tuning(snakemake.params.split, snakemake.params.rehearse)
model, tokenizer = models.load(snakemake.input.model)
encoder = Encoder(tokenizer, PromptConfig(**snakemake.params.prompt), models.context_length(model.config))
examples = encoder.examples(rows)
training = TrainingConfig(**snakemake.params.training)
# What the starting model says of the forget rows while it learns them: those of all splits, so that a study that takes
# another one need not be fine-tuned again. Nothing starts from a retain model.
look = look_at_tokens(encoder.examples(data.all_forget()), tuple(snakemake.params.temperatures))
epochs = Recorder(look, range(training.epochs + 1) if snakemake.wildcards.data == "full" else [])
seed, gpus = snakemake.params.seed, snakemake.resources.gpu
log = train(model, FineTuning(examples), len(examples), training, seed, gpus, epochs)
models.save(model, tokenizer, snakemake.output.model)
origin = {**provenance(snakemake.config), "machine": machine(gpus, training.precision)}
write_table(snakemake.output.log, log, origin)
write_table(snakemake.output.epochs, epochs.table(), origin)
