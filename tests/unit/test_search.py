"""A search is one process: every configuration once, with the numbers of a run by itself; a kill loses one trial."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
import torch

from lethe.config import Study
from lethe.evaluation.sets import asked
from lethe.tokens.tokenise import token_table
from lethe.training import search as module
from lethe.training.reference import Starting
from lethe.training.run import Ground, measure_model, run
from lethe.training.search import Place, search

PLACE = {"model": "tiny", "split": "forget10", "method": "ETW"}
LISTS = {"weighting.temperature": [1.0, 2.0], "strength": [0.5, 1.0]}


def study_of(sweep: dict, **selection) -> Study:
    return Study(
        study="unit",
        benchmark={"name": "fictional", "authors": 12, "facts": 4, "holdout_authors": 1, "world_authors": 4},
        models={"tiny": {"source": "scratch"}},
        unlearn={"epochs": 1, "batch_size": 2, "learning_rate": 1e-3},
        methods={"ETW": {"weighting": "entropy", "objective": "ascent", "retain": "nll", "sweep": sweep}},
        selection={"seed": 1000, **selection},
        measure={"max_new_tokens": 2, "limits": {"retain": 2, "real_authors": 2, "world_facts": 2}},
    )


@pytest.fixture(scope="module")
def ground(data, tiny, encoder) -> Ground:
    forget = data.forget("forget10")
    return Ground(
        model=tiny[0],
        tokenizer=tiny[1],
        encoder=encoder,
        forget=forget,
        retain=data.retain("forget10"),
        table=token_table(encoder, forget),
        starting=Starting(),
        probes=asked(data, ["forget10"], ["forget10"], study_of(LISTS).measure.limits),
    )


@pytest.fixture(scope="module")
def references(ground):
    tables, _ = measure_model(
        copy.deepcopy(ground.model), ground.encoder, ground.probes, study_of(LISTS).measure, 4096, gpus=0
    )
    return {who: (tables["tokens"], tables["generations"]) for who in ("full", "retain")}


def tried(ground, references, folder, sweep=LISTS, trained="k", judged="j", grown=None, **selection) -> pd.DataFrame:
    study, place = study_of(sweep, **selection), Place(folder / "journal.log", folder / "trials", trained, judged)
    tables = [] if grown is None else grown
    return search(ground, study.methods["ETW"], study, references, PLACE, place, 0, tables.append)


@pytest.fixture(scope="module")
def whole(ground, references, tmp_path_factory) -> pd.DataFrame:
    return tried(ground, references, tmp_path_factory.mktemp("search"))


def metrics(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index("point").sort_index().drop(columns=["trial"])


def test_every_combination_is_tried_once_in_the_order_of_the_grid(whole):
    assert whole["point"].tolist() == [
        *("temperature=1.0,strength=0.5", "temperature=1.0,strength=1.0"),
        *("temperature=2.0,strength=0.5", "temperature=2.0,strength=1.0"),
    ]
    assert [json.loads(p)["strength"] for p in whole["parameters"]] == [0.5, 1.0, 0.5, 1.0]
    assert set(whole["seed"]) == {1000}


def test_a_trial_is_the_run_that_its_configuration_would_be_alone(ground, references, whole):
    """Nothing is left over from the trials before: the starting model is the same for each."""
    study = study_of(LISTS)
    method = study.methods["ETW"].at({"weighting.temperature": 2.0, "strength": 1.0})
    tables, _ = run(ground, copy.deepcopy(ground.model), method, study, 1000, gpus=0, epochs=False)
    answers = tables["tokens"].query("set == 'forget' and kind == 'answer'")
    prob = np.exp(answers.groupby("sample")["logprob"].mean()).mean()
    own = whole.set_index("point").loc["temperature=2.0,strength=1.0", "forget_Q_A_Prob"]
    assert own == pytest.approx(prob, rel=1e-6)
    assert whole["forget_Q_A_Prob"].nunique() == 4


def killed_after(trials: int, monkeypatch) -> list[int]:
    """Let `run` be killed in the trial after so many; returns the list of trials that were begun."""
    begun, train = [], module.run

    def run_until_killed(*args, **kwargs):
        if len(begun) == trials:
            raise KeyboardInterrupt
        begun.append(len(begun))
        return train(*args, **kwargs)

    monkeypatch.setattr(module, "run", run_until_killed)
    return begun


def test_a_killed_search_goes_on_with_the_next_trial(ground, references, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        killed_after(3, patch)
        with pytest.raises(KeyboardInterrupt):
            tried(ground, references, tmp_path)
    with monkeypatch.context() as patch:
        begun = killed_after(99, patch)
        table = tried(ground, references, tmp_path)
    assert len(begun) == 1
    pd.testing.assert_frame_equal(metrics(table), metrics(whole), check_exact=True)


def test_a_grid_that_grows_tries_what_is_new(ground, references, whole, tmp_path, monkeypatch):
    tried(ground, references, tmp_path, {**LISTS, "strength": [0.5]})
    begun = killed_after(99, monkeypatch)
    table = tried(ground, references, tmp_path)
    assert len(begun) == 2
    pd.testing.assert_frame_equal(metrics(table), metrics(whole), check_exact=True)


def test_trials_of_other_settings_are_not_taken_over(ground, references, tmp_path, monkeypatch):
    tried(ground, references, tmp_path, {"strength": [0.5]})
    begun = killed_after(99, monkeypatch)
    tried(ground, references, tmp_path, {"strength": [0.5]}, trained="other")
    assert len(begun) == 1


def test_another_metric_setting_trains_nothing_again(ground, references, tmp_path, monkeypatch):
    once = tried(ground, references, tmp_path, {"strength": [0.5]})
    begun = killed_after(99, monkeypatch)
    again = tried(ground, references, tmp_path, {"strength": [0.5]}, judged="other")
    assert not begun
    pd.testing.assert_frame_equal(once, again, check_exact=True)


def test_the_table_grows_with_the_trials(ground, references, tmp_path):
    grown = []
    table = tried(ground, references, tmp_path, {"strength": [0.5, 1.0]}, grown=grown)
    assert [len(part) for part in grown] == [1, 2]
    pd.testing.assert_frame_equal(grown[-1], table)


RANGE = {"strength": {"low": 0.1, "high": 2.0, "log": True}}


def test_tpe_tries_as_many_as_it_may_and_goes_on_alike_when_killed(ground, references, tmp_path, monkeypatch):
    once = tried(ground, references, tmp_path / "once", RANGE, trials=4)
    assert len(once) == 4
    values = [json.loads(p)["strength"] for p in once["parameters"]]
    assert len(set(values)) == 4
    assert all(0.1 <= value <= 2.0 for value in values)
    with monkeypatch.context() as patch:
        killed_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            tried(ground, references, tmp_path / "twice", RANGE, trials=4)
    twice = tried(ground, references, tmp_path / "twice", RANGE, trials=4)
    pd.testing.assert_frame_equal(once.drop(columns="trial"), twice.drop(columns="trial"), check_exact=True)


def test_the_cheap_suite_generates_nothing_and_judges_by_a_substitute(ground, references, tmp_path, monkeypatch):
    monkeypatch.setattr("lethe.training.run.measure_generations", lambda *_: pytest.fail("nothing must be generated"))
    table = tried(ground, references, tmp_path, {"strength": [0.5, 1.0]}, suite="cheap")
    assert np.isfinite(table["delta_mu"]).all()
    assert (table["model_utility"] == table["utility_teacher_forced"]).all()


def test_the_starting_model_is_left_as_it_was(ground, references, tiny, tmp_path):
    before = {name: value.clone() for name, value in tiny[0].state_dict().items()}
    tried(ground, references, tmp_path, {"strength": [1.0]})
    assert all(torch.equal(before[name], value) for name, value in tiny[0].state_dict().items())


def test_a_configuration_that_diverges_is_reported_and_the_others_are_tried(ground, references, tmp_path, monkeypatch):
    train = module.run

    def run_but_one(ground, model, method, *args, **kwargs):
        if method.strength == 1.0:
            raise module.NonFiniteLoss("loss_forget not finite at step 1 of 2")
        return train(ground, model, method, *args, **kwargs)

    monkeypatch.setattr(module, "run", run_but_one)
    table = tried(ground, references, tmp_path, {"strength": [1.0, 0.5]})
    assert table["point"].tolist() == ["strength=1.0", "strength=0.5"]
    assert np.isnan(table["forget_Q_A_Prob"].astype(float).iloc[0])
    assert np.isfinite(table["forget_Q_A_Prob"].astype(float).iloc[1])
