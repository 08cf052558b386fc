"""One run: trained and measured in one process, with the same numbers as its stored model would give."""

import copy

import pandas as pd
import pytest
import torch

from lethe.config import Study
from lethe.evaluation.sets import asked, restrict, thinned
from lethe.models import sources
from lethe.models.lora import attach, merge
from lethe.tokens.tokenise import token_table
from lethe.training.reference import Starting
from lethe.training.run import Ground, measure_model, run


def study_of(**method) -> Study:
    return Study(
        study="unit",
        benchmark={"name": "fictional", "authors": 12, "facts": 4, "holdout_authors": 1, "world_authors": 4},
        models={"tiny": {"source": "scratch"}},
        unlearn={"epochs": 3, "batch_size": 2, "learning_rate": 1e-3},
        methods={"GA": {"weighting": "uniform", "objective": "ascent", "retain": "nll", **method}},
        measure={
            "max_new_tokens": 2,
            "limits": {"retain": 3, "real_authors": 2, "world_facts": 2},
            "every": 2,
            "during": {"forget": 2},
        },
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
        probes=asked(data, ["forget10"], ["forget10"], study_of().measure.limits),
    )


def run_of(ground, study, **kwargs):
    return run(ground, copy.deepcopy(ground.model), study.methods["GA"], study, 0, gpus=0, **kwargs)[0]


@pytest.mark.parametrize("training", [{}, {"lora": {"rank": 2}}], ids=["whole weights", "adapters"])
def test_a_kept_model_says_what_was_measured_in_its_run(ground, tmp_path, training):
    study = study_of(training=training)
    tables = run_of(ground, study, keep=tmp_path / "model")
    model, _ = sources.load(tmp_path / "model")
    again, _ = measure_model(model, ground.encoder, ground.probes, study.measure, study.tokens_per_batch, gpus=0)
    for name in ("tokens", "generations"):
        pd.testing.assert_frame_equal(tables[name], again[name], check_exact=True)


def test_nothing_is_written_unless_it_is_kept(ground, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tables = run_of(ground, study_of(), learned=tmp_path / "weighting.safetensors")
    assert set(tables) == {"log", "weights", "tokens", "generations", "epoch_tokens", "epoch_generations"}
    assert not list(tmp_path.iterdir())


def test_the_last_epoch_is_the_final_measurement(ground):
    study = study_of()
    tables = run_of(ground, study)
    epochs = tables["epoch_tokens"]
    assert epochs["epoch"].unique().tolist() == [2, 3]
    last = epochs[epochs["epoch"] == 3].drop(columns="epoch").reset_index(drop=True)
    pd.testing.assert_frame_equal(last, restrict(tables["tokens"], thinned(ground.probes, study.measure.during)))
    assert tables["epoch_generations"].empty  # cheap suite
    assert tables["weights"]["epoch"].unique().tolist() == [0, 1, 2, 3]


def test_a_trial_records_no_epochs_and_the_cheap_suite_generates_nothing(ground):
    tables = run_of(ground, study_of(), epochs=False, suite="cheap")
    assert set(tables) == {"log", "tokens", "generations"}
    assert tables["generations"].empty


def test_adapters_leave_the_buffers_as_they_are(tiny):
    """Rotary frequencies in bfloat16 would turn late positions by a wrong angle."""
    model = copy.deepcopy(tiny[0])
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    assert before
    config = study_of(training={"lora": {"rank": 2}})
    attach(model, config.training_of(config.methods["GA"]).lora, seed=0)
    assert all(torch.equal(before[name], buffer) for name, buffer in model.named_buffers())
    merge(model)
    assert all(torch.equal(before[name], buffer) for name, buffer in model.named_buffers())
