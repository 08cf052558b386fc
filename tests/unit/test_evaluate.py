"""From measured tables to metrics of several models: on the same rows, against the same two references."""

import numpy as np
import pandas as pd
import pytest

from lethe.config import EvaluationConfig
from lethe.evaluation.evaluate import evaluate
from lethe.evaluation.measure import measure
from lethe.evaluation.sets import evaluation_sets
from lethe.metrics import METRICS
from lethe.metrics.samples import Measured, samples
from lethe.metrics.summary import summarise

CONFIG = EvaluationConfig(max_new_tokens=4)
LIMITS = {"forget": 4, "retain": 3, "real_authors": 2, "world_facts": 2, "holdout": 3}


def sets_of(records, **limits):
    return evaluation_sets(records, ["forget10"], ["forget10"], {**LIMITS, **limits})


@pytest.fixture(scope="module")
def measured(tiny, sharp, encoder, records):
    """The untrained model is everybody's full model; `sharp` takes the other places."""
    full, other = (measure(model, encoder, sets_of(records), CONFIG, None)[:2] for model in (tiny[0], sharp))
    return {"full": full, "retain": other, "GA/seed0": full, "ETW/seed1": other}


@pytest.fixture(scope="module")
def evaluated(measured, records):
    return evaluate(measured, records, sets_of(records), CONFIG)


def test_every_model_has_samples_and_every_metric(measured, evaluated, records):
    tables, summaries = evaluated
    assert list(tables) == list(summaries) == list(measured)
    expected = {(name, record.id) for name, rows in sets_of(records).items() for record in rows}
    for who in measured:
        assert set(zip(tables[who]["set"], tables[who]["sample"], strict=True)) == expected
        assert list(summaries[who]) == list(METRICS)


def test_values_are_those_of_the_metrics_with_full_and_retain_as_references(measured, evaluated, records):
    tables, summaries = evaluated
    plain = {who: samples(Measured(*both, records, CONFIG.min_k)) for who, both in measured.items()}
    for who in measured:
        pd.testing.assert_frame_equal(tables[who], plain[who])
        assert summaries[who] == summarise(plain[who], plain["retain"], plain["full"])


def test_references_play_their_parts(evaluated):
    _, summaries = evaluated
    assert summaries["retain"]["forget_quality"].value == 1.0
    assert summaries["retain"]["privleak"].value == pytest.approx(0.0)
    assert summaries["full"]["forget_quality"].value < 1.0
    assert summaries["GA/seed0"] == summaries["full"], "a run that changes nothing is the full model"
    assert summaries["full"]["aggregate"].value is None


def test_everybody_is_restricted_to_the_sets(measured, records):
    """The full model is measured for all splits of a study at once; runs are judged on their own."""
    fewer = sets_of(records, forget=2, holdout=1, retain=2)
    tables, summaries = evaluate(measured, records, fewer, CONFIG)
    for table in tables.values():
        assert table.groupby("set").size().to_dict() == {name: len(rows) for name, rows in fewer.items()}
    kept = {record.id for record in fewer["forget"]}
    tokens = measured["retain"][0]
    answers = tokens[(tokens["set"] == "forget") & (tokens["kind"] == "answer") & tokens["sample"].isin(kept)]
    by_hand = np.exp(answers.groupby("sample")["logprob"].mean()).mean()
    assert summaries["retain"]["forget_Q_A_Prob"].value == pytest.approx(by_hand, rel=1e-5)
    assert summaries["retain"]["forget_Q_A_Prob"].counts == {"samples": 2, "dropped": 0}


def test_settings_of_metrics_reach_them(measured, evaluated, records):
    other = evaluate(measured, records, sets_of(records), EvaluationConfig(min_k=1.0, ou_compat=True))[0]["full"]
    usual = evaluated[0]["full"]
    assert (other["min_k"] < usual["min_k"]).all(), "the mean loss of all tokens is below that of the least likely"
    missed = usual["extraction_strength"] == 0
    assert missed.any()
    assert (other.loc[missed, "extraction_strength"] > 0).all()


def test_generations_may_be_left_out(measured, records):
    cheap = {who: (tokens, generations.iloc[:0]) for who, (tokens, generations) in measured.items()}
    tables, summaries = evaluate(cheap, records, sets_of(records), CONFIG)
    assert all(table["rouge_l_recall"].isna().all() for table in tables.values())
    assert {summary["model_utility"].value for summary in summaries.values()} == {None}
    assert summaries["ETW/seed1"]["forget_quality"].value == 1.0
