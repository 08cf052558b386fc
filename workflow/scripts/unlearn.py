from lethe import models, starting
from lethe.benchmarks.records import read_records, retain_split, select
from lethe.config import EvaluationConfig, MethodConfig, PromptConfig, TrainingConfig
from lethe.device import machine
from lethe.epochs import Measurement, Recorder, together
from lethe.io import read_json, read_table, write_table
from lethe.measure import epoch_sets, evaluation_sets
from lethe.prompts import Encoder
from lethe.provenance import provenance
from lethe.script import limit_threads, setup
from lethe.tokens import join
from lethe.train import train
from lethe.unlearn import Unlearning

setup(snakemake)
limit_threads(snakemake.threads)
source, target, params = snakemake.input, snakemake.output, snakemake.params
seed, split = int(snakemake.wildcards.seed), snakemake.wildcards.split
# A swept method is what its search chose.
method = MethodConfig(**(params.method or read_json(source.chosen)["method"]))
training = TrainingConfig(**{**params.unlearn, **method.training})
records = read_records(source.records)
model, tokenizer = models.load(source.model)
encoder = Encoder(tokenizer, PromptConfig(**params.prompt), models.context_length(model))
forget = select(records, "full", split)
task = Unlearning(
    method,
    forget=encoder.examples(forget),
    retain=encoder.examples(select(records, "full", retain_split(split))),
    table=join(map(read_table, source.tables)),
    seed=seed,
    hidden_size=model.config.hidden_size,
    starting=starting.read(
        kept={name: source[f"kept_{name}"] for name in params.kept},
        refusals=source.get("refusals"),
        encoder=encoder,
        forget=forget,
        lines=params.lines,
        seed=params.study_seed,
    ),
)
weights = Recorder(task.weights, training.epochs)
recorders = [weights]
if params.epochs:
    config = EvaluationConfig(**params.epochs)
    sets = epoch_sets(evaluation_sets(records, [split], params.study_splits, config.limits), config.epoch_limits)
    look = Measurement(encoder, sets, config)
    tokens = Recorder(look.tokens, training.epochs, config.evaluate_every)
    generations = Recorder(look.generations, training.epochs, config.evaluate_every)
    recorders += [tokens, generations]
log = train(model, task, len(task.forget), training, seed, snakemake.resources.gpu, together(*recorders))
models.save(model, tokenizer, target.model)
origin = {**provenance(snakemake.config), "machine": machine(snakemake.resources.gpu, training.precision)}
write_table(target.log, log, origin)
write_table(target.weights, weights.table(), origin)
if params.epochs:
    write_table(target.epoch_tokens, tokens.table(), origin)
    write_table(target.epoch_generations, generations.table(), origin)
