"""A search: all trials of a swept method in one process, and the configuration that is reported.

Model and data are read once; every trial trains a copy of the starting model with `selection.seed`, which is never
reported, and is measured as `selection.suite` says. Optuna keeps the trials in a journal, and what was measured is kept
beside it: a search that was killed goes on with the next trial, a grid that has grown or a metric that has changed
trains nothing again, and a trial's numbers depend on its configuration alone. Lists are tried in every combination,
in their order; with `selection.trials`, TPE chooses so many, by what is left of the forget set and what is lost.
"""

import copy
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
from lethe.plan.closure import closure, module, part_files
from lethe.plan.measurement import measurement
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


@dataclass(frozen=True)
class Place:
    """Where the trials of a search are kept, and what their numbers depend on.

    Attributes:
        journal: Optuna's file; made if it is not there.
        trials: folder of what was measured of each trial.
        trained: hash of what decides how a trial is trained and measured; see `keys_of`.
        judged: hash of what else decides its metrics.
    """

    journal: Path
    trials: Path
    trained: str
    judged: str

    def tables_of(self, values: Mapping[str, Any]) -> tuple[Path, Path]:
        """Files of a trial's tokens and generations."""
        name = hashlib.sha256(f"{self.trained} {json.dumps(values)}".encode()).hexdigest()[:24]
        return self.trials / f"{name}.tokens.parquet", self.trials / f"{name}.generations.parquet"


def search(
    ground: Ground,
    method: MethodConfig,
    study: Study,
    references: Mapping[str, Tables],
    row: Mapping[str, str],
    place: Place,
    gpus: int,
    at_trial: Callable[[pd.DataFrame], None] = lambda table: None,
) -> pd.DataFrame:
    """Try what has not been tried yet; returns the metrics of every trial.

    Args:
        ground: what the trials share.
        method: with a sweep.
        study: training, measurement, selection.
        references: measured tables of the reference models, by name.
        row: model, split, method of the table's rows.
        place: where trials are kept.
        gpus: granted by the scheduler.
        at_trial: called with the table whenever it has grown.

    Returns:
        As `run_row`, and trial (number), point (id of the configuration), parameters (JSON); ordered as the grid is, or
        by trial.
    """
    place.journal.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Optuna holds a study to one space, so a grid that has grown is a new study; trials are found by their tables.
    space = json.dumps([place.trained, place.judged, method.model_dump(mode="json")["sweep"]], sort_keys=True)
    trials = optuna.create_study(
        study_name=hashlib.sha256(space.encode()).hexdigest(),
        storage=JournalStorage(JournalFileBackend(str(place.journal))),
        directions=["minimize"] * 2,
        load_if_exists=True,
    )
    whole, minimised = study.tried(row["method"]), [study.task.headline.forgetting, study.task.headline.loss]

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        values = suggest(trial, method)
        log.info("trial %d of %d: %s", len(_ended(trials)) + 1, whole, method.point(values))
        measured = trial_tables(ground, method.at(values), study, place.tables_of(values), gpus)
        metrics = trial_metrics(ground, study, references, row, measured)
        trial.set_user_attr("row", metrics)
        trial.set_user_attr("values", values)
        costs = ((study.task.metrics[name], metrics[name]) for name in minimised)
        return tuple(UNDEFINED if value is None else metric.cost(value) for metric, value in costs)

    while (done := len(_ended(trials))) < whole:
        trials.sampler = optuna.samplers.TPESampler(seed=study.selection.seed + done)
        if study.selection.trials is None:
            trials.enqueue_trial(_next_of_grid(trials, method))
        trials.optimize(objective, n_trials=1)
        at_trial(trial_table(trials, method))
    return trial_table(trials, method)


def _next_of_grid(trials: optuna.Study, method: MethodConfig) -> dict[str, Any]:
    tried = [trial.user_attrs["values"] for trial in _ended(trials)]
    return next(values for values in method.grid() if values not in tried)


def _ended(trials: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return trials.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def trial_tables(
    ground: Ground, method: MethodConfig, study: Study, paths: tuple[Path, Path], gpus: int
) -> Tables | None:
    """What was measured of one configuration; it is trained if that is not stored. None if its loss is not finite.

    Such a configuration is reported as undefined, and the others are tried.
    """
    tokens, generations = paths
    if not tokens.exists():
        seed, suite = study.selection.seed, study.selection.suite
        try:
            tables, _ = run(ground, copy.deepcopy(ground.model), method, study, seed, gpus, epochs=False, suite=suite)
        except NonFiniteLoss as error:
            log.warning("%s", error)
            tables = {"tokens": pd.DataFrame(), "generations": no_generations()}
        write_table(generations, tables["generations"])
        write_table(tokens, tables["tokens"])  # last: it says that the trial is done
    found = read_table(tokens)
    return None if found.empty else (found, read_table(generations))


def trial_metrics(
    ground: Ground, study: Study, references: Mapping[str, Tables], row: Mapping[str, str], measured: Tables | None
) -> dict[str, Any]:
    """Metrics of one trial as in `run_row`, with a substitute for the utility in the cheap suite; None = undefined."""
    seed = study.selection.seed
    who = f"{row['method']}/seed{seed}"
    if measured is None:
        return run_row(row["model"], row["split"], who, {}) | dict.fromkeys(study.task.metrics)
    tables = {**references, who: measured}
    if study.selection.suite == "cheap":
        tables = {name: (tokens, no_generations()) for name, (tokens, _) in tables.items()}
    _, summaries = evaluate(study.task, tables, ground.probes, study.evaluate)
    rows = pd.DataFrame([run_row(row["model"], row["split"], name, summary) for name, summary in summaries.items()])
    if study.selection.suite == "cheap":
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
        target: runs, which grows with the trials, and chosen -> path; what is kept of trials lies beside them and
            outlives the job.
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
    folder = Path(target["runs"]).parent
    kept = Place(folder / "journal.log", folder / "trials", *keys_of(source, study, method))

    def write(trials: pd.DataFrame) -> None:
        write_table(target["runs"], trials.assign(chosen=False), provenance(config))

    trials = search(shared, method, study, references, place, kept, gpus, write)
    point, why = select(trials, study.selection.rule, study.task)
    write_table(target["runs"], trials.assign(chosen=trials["point"] == point), provenance(config))
    values = json.loads(trials.loc[trials["point"] == point, "parameters"].iloc[0])
    chosen = {"point": point, "rule": study.selection.rule, "seed": study.selection.seed, "why": why}
    write_json(target["chosen"], chosen | {"method": method.at(values).model_dump(mode="json")})


def keys_of(source: Mapping[str, Any], study: Study, method: MethodConfig) -> tuple[str, str]:
    """Hashes of what decides how trials are trained and measured, and of what else decides their metrics.

    Settings, code, and the content of the inputs. The space that is searched is left out: trials of a grid that has
    grown are those of before.
    """
    config = study.model_dump(mode="json")
    files = {key: [path] if isinstance(path, str) else list(path) for key, path in source.items()}
    code = closure([*module("training.run"), *part_files(method)])
    training = [path for key, paths in files.items() for path in paths if key != "code" and "reference_" not in key]
    trained = [config[key] for key in ("unlearn", "refusals", "seed")] + [measurement(study)]
    trained += [method.model_dump(mode="json") | {"sweep": {}}, study.selection.seed, study.selection.suite]
    judged = [path for key, paths in files.items() for path in paths if key == "code" or "reference_" in key]
    return _hash([trained, _content([*training, *map(str, code)])]), _hash([config["evaluate"], _content(judged)])


def _content(paths: Iterable[str]) -> list[list[str]]:
    """(name, hash) of files, and of those in folders."""
    files = [file for path in map(Path, paths) for file in ([path] if path.is_file() else path.rglob("*"))]
    return sorted([file.name, sha256(file)] for file in files if file.is_file())


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
