"""Models before unlearning: the base model, and those that learn the benchmark's rows."""

from collections.abc import Mapping

from lethe.benchmarks.prepared import read_data
from lethe.config import ModelConfig, PromptConfig, ScratchConfig, TrainingConfig
from lethe.io import write_json, write_table
from lethe.models import sources
from lethe.models.device import machine
from lethe.models.prompts import Encoder
from lethe.training.loop import FineTuning, train
from lethe.training.recorders import Recorder, look_at_tokens


def base(data: str, target: Mapping[str, str], config: ModelConfig, prompt: PromptConfig, seed: int, gpus: int) -> None:
    """The rule `base`: fetch a pretrained model, or train a small one on the benchmark's `world` rows.

    Args:
        data: file of the benchmark's data.
        target: model (folder), source (JSON) -> path.
        config: where the model comes from.
        prompt: how a question becomes a prompt.
        seed: the study's.
        gpus: granted by the scheduler.
    """
    if isinstance(config, ScratchConfig):
        world = list(read_data(data).world)
        model, tokenizer = sources.scratch(config, world, prompt, seed)
        examples = Encoder(tokenizer, prompt, sources.context_length(model.config)).examples(world)
        log = train(model, FineTuning(examples), len(examples), config.training, seed, gpus)
        source = {"scratch": config.model_dump(mode="json"), "last_loss_nats": float(log["loss"].iloc[-1])}
    else:
        model, tokenizer, source = sources.obtain(config)
    source["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    sources.save(model, tokenizer, target["model"])
    write_json(target["source"], source)


def finetune(
    source: Mapping[str, str],
    target: Mapping[str, str],
    rows: tuple[str | None, bool],
    training: TrainingConfig,
    prompt: PromptConfig,
    temperatures: tuple[float, ...],
    seed: int,
    gpus: int,
    origin: Mapping,
) -> None:
    """The rule `finetune`: train the base model on all rows, or on a retain split.

    What the starting model says of the forget rows while it learns them is recorded, those of all splits, so that a
    study that takes another one need not be fine-tuned again. Nothing starts from a retain model.

    Args:
        source: data, model -> path.
        target: model (folder), log, epochs -> path.
        rows: the split whose retained rows are learned (None: all rows), and whether rows of the world are rehearsed.
        training: of the loop.
        prompt: how a question becomes a prompt.
        temperatures: of the entropies recorded.
        seed: the study's.
        gpus: granted by the scheduler.
        origin: provenance.
    """
    split, rehearse = rows
    data = read_data(source["data"])
    model, tokenizer = sources.load(source["model"])
    encoder = Encoder(tokenizer, prompt, sources.context_length(model.config))
    examples = encoder.examples(data.fine_tuning(split, rehearse))
    look = look_at_tokens(encoder.examples(data.all_forget()), temperatures)
    epochs = Recorder(look, range(training.epochs + 1) if split is None else [])
    log = train(model, FineTuning(examples), len(examples), training, seed, gpus, epochs)
    sources.save(model, tokenizer, target["model"])
    origin = {**origin, "machine": machine(gpus, training.precision)}
    write_table(target["log"], log, origin)
    write_table(target["epochs"], epochs.table(), origin)
