"""A search: all trials of a swept method in one process, and the configuration that is reported.

Model and data are read once; every trial trains a copy of the starting model with `selection.seed`, which is never
reported, and is measured as `selection.suite` says. Optuna keeps the trials in a journal: a search that was killed goes
on with the next trial, and a trial's numbers depend on its configuration alone. Lists are tried in every combination,
in their order; with `selection.trials`, TPE chooses so many, by what is left of the forget set and what is lost.
"""

import copy
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from lethe.config import MethodConfig, Study, load
from lethe.config.methods import Range
from lethe.evaluation.evaluate import Tables, evaluate
from lethe.evaluation.measure import no_generations
from lethe.evaluation.runs import run_row
from lethe.evaluation.substitute import by_substitute
from lethe.io import read_table, sha256, write_json, write_table
from lethe.plan import measurement
from lethe.provenance import provenance
from lethe.selection import select
from lethe.training.loop import NonFiniteLoss
from lethe.training.run import Ground, ground, run

log = logging.getLogger(__name__)

UNDEFINED = 1e6
"""What TPE is told in place of an undefined value: worse than any other."""


def suggest(trial: optuna.Trial, method: MethodConfig) -> dict[str, Any]:
    """A value for each key of the sweep, as the sampler has it."""
    return {
        key: trial.suggest_float(key, values.low, values.high, log=values.log, step=values.step)
        if isinstance(values, Range)
        else trial.suggest_categorical(key, values)
        for key, values in method.sweep.items()
    }


def search(
    ground: Ground,
    method: MethodConfig,
    study: Study,
    references: Mapping[str, Tables],
    row: Mapping[str, str],
    journal: str | Path,
    key: str,
    gpus: int,
) -> pd.DataFrame:
    """Try what has not been tried yet; returns the metrics of every trial.

    Args:
        ground: what the trials share.
        method: with a sweep.
        study: training, measurement, selection.
        references: measured tables of the reference models, by name.
        row: model, split, method of the table's rows.
        journal: Optuna's file; made if it is not there.
        key: names what decides the numbers; trials of other keys in the journal are not used.
        gpus: granted by the scheduler.

    Returns:
        As `run_row`, and trial (number), point (id of the configuration), parameters (JSON); ordered as the grid is, or
        by trial.
    """
    Path(journal).parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(journal)))
    known = known_trials(storage, key)
    # Optuna holds a study to one space, so a grid that has grown is a new study, which takes over what is known.
    space = hashlib.sha256(method.model_dump_json().encode()).hexdigest()
    trials = optuna.create_study(
        study_name=f"{key}/{space}", storage=storage, directions=["minimize"] * 2, load_if_exists=True
    )
    whole, minimised = study.tried(row["method"]), [study.task.headline.forgetting, study.task.headline.loss]

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        values = suggest(trial, method)
        metrics = known.get(json.dumps(values))
        if metrics is None:
            log.info("trial %d of %d: %s", _done(trials) + 1, whole, method.point(values))
            metrics = trial_metrics(ground, method.at(values), study, references, row, gpus)
        trial.set_user_attr("row", metrics)
        trial.set_user_attr("values", values)
        costs = ((study.task.metrics[name], metrics[name]) for name in minimised)
        return tuple(UNDEFINED if value is None else metric.cost(value) for metric, value in costs)

    while (done := _done(trials)) < whole:
        trials.sampler = optuna.samplers.TPESampler(seed=study.selection.seed + done)
        if study.selection.trials is None:
            trials.enqueue_trial(_next_of_grid(trials, method))
        trials.optimize(objective, n_trials=1)
    return trial_table(trials, method)


def known_trials(storage: JournalStorage, key: str) -> dict[str, dict[str, Any]]:
    """Values as JSON -> metrics, of all trials in the journal that ended and whose numbers the key decides."""
    found = {}
    for name in optuna.get_all_study_names(storage):
        if name.startswith(f"{key}/"):
            for trial in _ended(optuna.load_study(study_name=name, storage=storage)):
                found[json.dumps(trial.user_attrs["values"])] = trial.user_attrs["row"]
    return found


def _next_of_grid(trials: optuna.Study, method: MethodConfig) -> dict[str, Any]:
    tried = [trial.user_attrs["values"] for trial in _ended(trials)]
    return next(values for values in method.grid() if values not in tried)


def _ended(trials: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return trials.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def _done(trials: optuna.Study) -> int:
    return len(_ended(trials))


def trial_metrics(
    ground: Ground,
    method: MethodConfig,
    study: Study,
    references: Mapping[str, Tables],
    row: Mapping[str, str],
    gpus: int,
) -> dict[str, Any]:
    """Train and measure one configuration: as `run_row`, with a substitute for the utility in the cheap suite.

    None = undefined. Everything is, where the loss is not finite: such a configuration is reported, and the others are
    tried.
    """
    seed, suite = study.selection.seed, study.selection.suite
    who = f"{row['method']}/seed{seed}"
    start = copy.deepcopy(ground.model)
    try:
        tables, _ = run(ground, start, method, study, seed, gpus, epochs=False, suite=suite)
    except NonFiniteLoss as error:
        log.warning("%s", error)
        return run_row(row["model"], row["split"], who, {}) | dict.fromkeys(study.task.metrics)
    measured = dict(references) | {"trial": (tables["tokens"], tables["generations"])}
    if suite == "cheap":
        measured = {who: (tokens, no_generations()) for who, (tokens, _) in measured.items()}
    _, summaries = evaluate(study.task, measured, ground.probes, study.evaluate)
    rows = pd.DataFrame(
        [
            run_row(row["model"], row["split"], who if name == "trial" else name, summary)
            for name, summary in summaries.items()
        ]
    )
    if suite == "cheap":
        rows = by_substitute(rows, study.task.headline.cheap_utility, study.task)
    found = rows.iloc[-1].to_dict() | {"seed": seed}
    return {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in found.items()}


def trial_table(trials: optuna.Study, method: MethodConfig) -> pd.DataFrame:
    """All trials that ended, see `search`; a configuration that was tried twice carries its trial's number."""
    rows = []
    for number, trial in enumerate(_ended(trials)):
        values = trial.user_attrs["values"]
        rows.append(
            {
                **{k: np.nan if v is None else v for k, v in trial.user_attrs["row"].items()},
                "trial": number,
                "point": method.point(values),
                "parameters": json.dumps(values),
            }
        )
    table = pd.DataFrame(rows).astype({"seed": "Int64"})
    order = {method.point(values): i for i, values in enumerate(method.grid())}
    table = table.sort_values("point", key=lambda points: points.map(order), kind="stable", ignore_index=True)
    again = table["point"].duplicated()
    return table.assign(point=table["point"].where(~again, table["point"] + "#" + table["trial"].astype(str)))


def choose(
    source: Mapping[str, Any], target: Mapping[str, str], config: Mapping, place: Mapping[str, str], gpus: int
) -> None:
    """The rule `search`: try every configuration, write the table of trials and what the rule of selection picks.

    Args:
        source: see `lethe.training.run.ground`; and reference_tokens, reference_generations.
        target: runs, chosen -> path; Optuna's journal lies beside them and outlives the job.
        config: the study's config as Snakemake has it.
        place: model, split, method.
        gpus: granted by the scheduler.
    """
    study = load(config)
    method = study.methods[place["method"]]
    shared = ground(source, place["split"], study)
    tables = zip(source["reference_tokens"], source["reference_generations"], strict=True)
    references = {
        who: (read_table(tokens), read_table(said))
        for who, (tokens, said) in zip(study.task.references, tables, strict=True)
    }
    journal = Path(target["runs"]).with_name("journal.log")
    trials = search(shared, method, study, references, place, journal, key_of(source, study, method), gpus)
    point, why = select(trials, study.selection.rule, study.task)
    write_table(target["runs"], trials.assign(chosen=trials["point"] == point), provenance(config))
    values = json.loads(trials.loc[trials["point"] == point, "parameters"].iloc[0])
    chosen = {"point": point, "rule": study.selection.rule, "seed": study.selection.seed, "why": why}
    write_json(target["chosen"], chosen | {"method": method.at(values).model_dump(mode="json")})


def key_of(source: Mapping[str, Any], study: Study, method: MethodConfig) -> str:
    """Hash of what decides the numbers of a method's trials: settings, code, and the content of the inputs.

    The space that is searched is left out: trials of a grid that has grown are those of before.
    """
    config = study.model_dump(mode="json")
    settings = [config[key] for key in ("unlearn", "evaluate", "refusals", "seed")] + [measurement(study)]
    settings += [method.model_dump(mode="json") | {"sweep": {}}, study.selection.seed, study.selection.suite]
    paths = [path for _, value in source.items() for path in ([value] if isinstance(value, str) else value)]
    files = sorted(
        f for path in map(Path, paths) for f in ([path] if path.is_file() else path.rglob("*")) if f.is_file()
    )
    content = [[str(file), sha256(file)] for file in files]
    return hashlib.sha256(json.dumps([settings, content], sort_keys=True).encode()).hexdigest()
