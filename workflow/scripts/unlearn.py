import pandas as pd

from lethe.benchmarks.prepared import read_data
from lethe.config import EvaluationConfig, MethodConfig, PromptConfig, TrainingConfig, load
from lethe.evaluation.sets import asked, thinned
from lethe.io import read_json, read_table, write_table
from lethe.models import sources as models
from lethe.models.device import machine
from lethe.models.prompts import Encoder
from lethe.provenance import provenance
from lethe.script import limit_threads, setup
from lethe.tokens.table import join
from lethe.training.loop import train
from lethe.training.recorders import Measurement, Recorder, measured_epochs, together
from lethe.training.reference import read_starting
from lethe.training.unlearn import Unlearning

setup(snakemake)
limit_threads(snakemake.threads)
source, target, params = snakemake.input, snakemake.output, snakemake.params
seed, split = int(snakemake.wildcards.seed), snakemake.wildcards.split
# A swept method is what its search chose.
method = MethodConfig(**(params.method or read_json(source.chosen)["method"]))
training = TrainingConfig(**{**params.unlearn, **method.training})
data = read_data(source.data)
model, tokenizer = models.load(source.model)
encoder = Encoder(tokenizer, PromptConfig(**params.prompt), models.context_length(model.config))
forget = data.forget(split)
task = Unlearning(
    method,
    forget=encoder.examples(forget),
    retain=encoder.examples(data.retain(split)),
    table=join(map(read_table, source.tables)),
    seed=seed,
    hidden_size=model.config.get_text_config().hidden_size,
    starting=read_starting(
        kept={name: source[f"kept_{name}"] for name in params.kept},
        refusals=source.get("refusals"),
        encoder=encoder,
        forget=forget,
        lines=params.lines,
        seed=params.study_seed,
    ),
)
recorders = {"weights": Recorder(task.weights, range(training.epochs + 1))}
if params.epochs:
    # Not a parameter: it changes speed and memory, not values.
    tokens_per_batch = load(snakemake.config).evaluation.tokens_per_batch
    config = EvaluationConfig(**params.epochs["evaluation"], tokens_per_batch=tokens_per_batch)
    splits = params.epochs["study_splits"]
    look = Measurement(encoder, thinned(asked(data, [split], splits, config.limits), config.epoch_limits), config)
    epochs = measured_epochs(training.epochs, config.evaluate_every)
    recorders |= {
        "epoch_tokens": Recorder(look.tokens, epochs),
        "epoch_generations": Recorder(look.generations, epochs),
    }
log = train(model, task, len(task.forget), training, seed, snakemake.resources.gpu, together(*recorders.values()))
models.save(model, tokenizer, target.model)
origin = {**provenance(snakemake.config), "machine": machine(snakemake.resources.gpu, training.precision)}
write_table(target.log, log, origin)
for name in params.tables:  # of a search's points, what is measured by epoch is empty
    write_table(target[name], recorders[name].table() if name in recorders else pd.DataFrame(), origin)
