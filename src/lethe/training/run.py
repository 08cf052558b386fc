"""One unlearning run as a job: trained and measured in one process, its model written only if it is kept.

What several runs of a method share (data, tokens, the starting model in memory) is a `Ground`, so that a search trains
trial after trial without reading anything twice.
"""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lethe.benchmarks.contract import Probe, Row
from lethe.benchmarks.prepared import read_data
from lethe.config import MeasureConfig, MethodConfig, Study, load
from lethe.evaluation.measure import measure_generations, measure_tokens, no_generations
from lethe.evaluation.sets import asked, restrict, thinned
from lethe.io import read_json, read_table, write_json, write_table
from lethe.models import sources
from lethe.models.device import autocast_dtype, choose_device, machine
from lethe.models.forward import Cost
from lethe.models.prompts import Encoder
from lethe.plan.measurement import measurement
from lethe.provenance import provenance
from lethe.tokens.table import join
from lethe.training.loop import train
from lethe.training.recorders import Measurement, Recorder, together
from lethe.training.reference import Starting, read_starting
from lethe.training.unlearn import Unlearning, save_weigher

MEASURED = {"tokens", "generations"}
"""Tables of a model's measurement; the others of a run are about its training."""


@dataclass
class Ground:
    """What the runs of a method at a place share.

    Attributes:
        model: the starting model, in memory; runs train copies of it.
        tokenizer, encoder: of the model.
        forget, retain: rows of the split.
        table: token table with what training reads.
        starting: what is kept of the starting model beside the table.
        probes: what the trained model is asked.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    encoder: Encoder
    forget: list[Row]
    retain: list[Row]
    table: pd.DataFrame
    starting: Starting
    probes: list[Probe]


def ground(source: Mapping[str, Any], split: str, study: Study) -> Ground:
    """Read what runs need.

    Args:
        source: data, model (folder), tables; and where a method needs them kept_retain, kept_forget, refusals.
        split: forget split.
        study: the config.
    """
    data = read_data(source["data"])
    model, tokenizer = sources.load(source["model"])
    encoder = Encoder(tokenizer, study.prompt, sources.context_length(model.config))
    forget = data.forget(split)
    kept = {key.removeprefix("kept_"): path for key, path in source.items() if key.startswith("kept_")}
    return Ground(
        model=model,
        tokenizer=tokenizer,
        encoder=encoder,
        forget=forget,
        retain=data.retain(split),
        table=join(map(read_table, source["tables"])),
        starting=read_starting(kept, source.get("refusals"), encoder, forget, study.refusals, study.seed),
        probes=asked(data, [split], study.splits, study.measure.limits),
    )


def run(
    ground: Ground,
    model: PreTrainedModel,
    method: MethodConfig,
    study: Study,
    seed: int,
    gpus: int,
    epochs: bool = True,
    suite: Literal["full", "cheap"] = "full",
    keep: str | Path | None = None,
    learned: str | Path | None = None,
) -> tuple[dict[str, pd.DataFrame], dict[str, Cost]]:
    """Train a model in place, measure it, and hand back the tables of the run and what measuring took.

    Args:
        ground: what the runs at this place share; left as it is.
        model: the starting model, or a copy of it.
        method: without a sweep.
        study: training and measurement.
        seed: the run's seed.
        gpus: granted by the scheduler.
        epochs: record weights by epoch, and measurements by epoch where `measure.every` asks for them.
        suite: of the final measurement; cheap leaves out generations.
        keep: folder that the trained model is written to; None: its measurements are all that is kept.
        learned: file for what a learned weighting keeps; not written where there is nothing.

    Returns:
        Tables log, tokens, generations; with `epochs` also weights and, with `measure.every`, epoch_tokens and
        epoch_generations, whose last epoch is the final measurement.
    """
    training = study.training_of(method)
    task = Unlearning(
        method,
        forget=ground.encoder.examples(ground.forget),
        retain=ground.encoder.examples(ground.retain),
        table=ground.table,
        seed=seed,
        hidden_size=model.config.get_text_config().hidden_size,
        starting=ground.starting,
    )
    recorders = _recorders(ground, task, training.epochs, study.measure, study.tokens_per_batch) if epochs else {}
    log = train(model, task, len(task.forget), training, seed, gpus, together(*recorders.values()))
    if keep is not None:
        sources.save(model, ground.tokenizer, keep)
    if learned is not None and task.weigher.state():
        save_weigher(task.weigher, learned)
    tables = {"log": log} | {name: recorder.table() for name, recorder in recorders.items()}
    measured, cost = measure_model(
        model, ground.encoder, ground.probes, study.measure, study.tokens_per_batch, gpus, suite
    )
    for name, table in _of_epochs(measured, ground.probes, study.measure).items():
        if name in recorders:
            tables[name] = pd.concat([tables[name], table.assign(epoch=np.int32(training.epochs))], ignore_index=True)
    return tables | measured, cost


def measure_model(
    model: PreTrainedModel,
    encoder: Encoder,
    probes: list[Probe],
    config: MeasureConfig,
    tokens_per_batch: int,
    gpus: int,
    suite: Literal["full", "cheap"] = "full",
) -> tuple[dict[str, pd.DataFrame], dict[str, Cost]]:
    """Bring a model that is not trained any more to its device, in place, and measure it: tokens and generations."""
    device = choose_device(gpus)
    dtype = autocast_dtype(config.precision, device)
    placed = sources.place(model, device, dtype)
    tokens, teacher_forced = measure_tokens(placed, encoder, probes, tokens_per_batch, dtype)
    if suite == "cheap":
        return {"tokens": tokens, "generations": no_generations()}, {"teacher_forced": teacher_forced}
    generations, generation = measure_generations(placed, encoder, probes, config, tokens_per_batch, dtype)
    return {"tokens": tokens, "generations": generations}, {"teacher_forced": teacher_forced, "generation": generation}


def _recorders(
    ground: Ground, task: Unlearning, epochs: int, config: MeasureConfig, tokens_per_batch: int
) -> dict[str, Recorder]:
    recorders = {"weights": Recorder(task.weights, range(epochs + 1))}
    if config.every:
        look = Measurement(ground.encoder, thinned(ground.probes, config.during), config, tokens_per_batch)
        when = range(config.every, epochs, config.every)  # the last epoch is measured when the run is done
        recorders |= {
            "epoch_tokens": Recorder(look.tokens, when),
            "epoch_generations": Recorder(look.generations, when),
        }
    return recorders


def _of_epochs(
    measured: dict[str, pd.DataFrame], probes: list[Probe], config: MeasureConfig
) -> dict[str, pd.DataFrame]:
    """The part of a final measurement that is measured during training as well."""
    own = thinned(probes, config.during)
    said = no_generations() if config.suite == "cheap" else restrict(measured["generations"], own)
    return {"epoch_tokens": restrict(measured["tokens"], own), "epoch_generations": said}


def unlearn(
    source: Mapping[str, Any], target: Mapping[str, str], config: Mapping, place: Mapping[str, str], gpus: int
) -> None:
    """The rule `unlearn`: one run, its tables and, if models are kept, the model.

    Args:
        source: files, see `ground`; `chosen` for a swept method, which is what its search chose.
        target: table or `model` or `cost` -> path.
        config: the study's config as Snakemake has it.
        place: model, split, method, seed.
        gpus: granted by the scheduler.
    """
    study = load(config)
    method = study.methods[place["method"]]
    if chosen := source.get("chosen"):
        method = MethodConfig(**read_json(chosen)["method"])
    shared = ground(source, place["split"], study)
    seed, learned = int(place["seed"]), Path(target["log"]).with_name("weighting.safetensors")
    tables, cost = run(shared, shared.model, method, study, seed, gpus, keep=target.get("model"), learned=learned)
    if target.get("model") is None:  # that of a time when models were kept is of another run
        shutil.rmtree(Path(target["log"]).with_name("model"), ignore_errors=True)
    trained = {**provenance(config), "machine": machine(gpus, study.training_of(method).precision)}
    for name in tables.keys() - MEASURED:
        write_table(target[name], tables[name], trained)
    write_measurement(tables, cost, target, config, gpus)


def write_measurement(
    tables: Mapping[str, pd.DataFrame], cost: Mapping[str, Cost], target: Mapping[str, str], config: Mapping, gpus: int
) -> None:
    """Write tokens, generations and their cost, with the hash by which `lethe.plan` knows whether they are current."""
    study = load(config)
    origin = {
        **provenance(config),
        "machine": machine(gpus, study.measure.precision),
        "measurement": measurement(study),
    }
    for name in MEASURED:
        write_table(target[name], tables[name], origin)
    write_json(target["cost"], {phase: asdict(value) for phase, value in cost.items()})


def measure_stored(
    source: Mapping[str, Any], target: Mapping[str, str], config: Mapping, splits: list[str], gpus: int
) -> None:
    """The rule `measure`: a stored model, asked about some splits; arguments as in `unlearn`."""
    study = load(config)
    probes = asked(read_data(source["data"]), splits, study.splits, study.measure.limits)
    model, tokenizer = sources.load(source["model"])
    encoder = Encoder(tokenizer, study.prompt, sources.context_length(model.config))
    tables, cost = measure_model(model, encoder, probes, study.measure, study.tokens_per_batch, gpus)
    write_measurement(tables, cost, target, config, gpus)
