"""From measured tables to metrics of several models: on the same rows, against the same two references."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lethe.benchmarks.tofu import Tofu
from lethe.config import EvaluateConfig, MeasureConfig
from lethe.evaluation.evaluate import evaluate
from lethe.evaluation.measure import measure
from lethe.evaluation.sets import asked, by_set
from lethe.metrics.summary import summarise

TOFU = Tofu()
CONFIG = EvaluateConfig()
MEASURE = MeasureConfig(max_new_tokens=4)
LIMITS = {"forget": 4, "retain": 3, "real_authors": 2, "world_facts": 2, "holdout": 3}


def probes_of(data, **limits):
    return asked(data, ["forget10"], ["forget10"], {**LIMITS, **limits})


@pytest.fixture(scope="module")
def measured(tiny, sharp, encoder, data):
    """The untrained model is everybody's full model; `sharp` takes the other places."""
    full, other = (measure(model, encoder, probes_of(data), MEASURE, 700, None)[:2] for model in (tiny[0], sharp))
    return {"full": full, "retain": other, "GA/seed0": full, "ETW/seed1": other}


@pytest.fixture(scope="module")
def evaluated(measured, data):
    return evaluate(TOFU, measured, probes_of(data), CONFIG)


def test_every_model_has_samples_and_every_metric(measured, evaluated, data):
    tables, summaries = evaluated
    assert list(tables) == list(summaries) == list(measured)
    expected = {(probe.set, probe.id) for probe in probes_of(data)}
    for who in measured:
        assert set(zip(tables[who]["set"], tables[who]["sample"], strict=True)) == expected
        assert list(summaries[who]) == list(TOFU.metrics)


def test_values_are_those_of_the_metrics_with_full_and_retain_as_references(measured, evaluated, data):
    tables, summaries = evaluated
    plain = {who: TOFU.samples(*both, probes_of(data), CONFIG) for who, both in measured.items()}
    for who in measured:
        pd.testing.assert_frame_equal(tables[who], plain[who])
    assert summaries == summarise(TOFU.metrics, plain)


def test_references_play_their_parts(evaluated):
    _, summaries = evaluated
    assert summaries["retain"]["forget_quality"].value == 1.0
    assert summaries["retain"]["privleak"].value == pytest.approx(0.0)
    assert summaries["full"]["forget_quality"].value < 1.0
    assert summaries["GA/seed0"] == summaries["full"], "a run that changes nothing is the full model"
    assert summaries["full"]["aggregate"].value is None


def test_everybody_is_restricted_to_the_sets(measured, data):
    """The full model is measured for all splits of a study at once; runs are judged on their own."""
    fewer = probes_of(data, forget=2, holdout=1, retain=2)
    tables, summaries = evaluate(TOFU, measured, fewer, CONFIG)
    for table in tables.values():
        assert table.groupby("set").size().to_dict() == {name: len(own) for name, own in by_set(fewer).items()}
    kept = {probe.id for probe in by_set(fewer)["forget"]}
    tokens = measured["retain"][0]
    answers = tokens[(tokens["set"] == "forget") & (tokens["kind"] == "answer") & tokens["sample"].isin(kept)]
    by_hand = np.exp(answers.groupby("sample")["logprob"].mean()).mean()
    assert summaries["retain"]["forget_Q_A_Prob"].value == pytest.approx(by_hand, rel=1e-5)
    assert summaries["retain"]["forget_Q_A_Prob"].counts == {"samples": 2, "dropped": 0}


def test_settings_of_metrics_reach_them(measured, evaluated, data):
    other = evaluate(TOFU, measured, probes_of(data), EvaluateConfig(min_k=1.0, ou_compat=True))[0]["full"]
    usual = evaluated[0]["full"]
    assert (other["min_k"] < usual["min_k"]).all(), "the mean loss of all tokens is below that of the least likely"
    missed = usual["extraction_strength"] == 0
    assert missed.any()
    assert (other.loc[missed, "extraction_strength"] > 0).all()


def test_generations_may_be_left_out(measured, data):
    cheap = {who: (tokens, generations.iloc[:0]) for who, (tokens, generations) in measured.items()}
    tables, summaries = evaluate(TOFU, cheap, probes_of(data), CONFIG)
    assert all(table["rouge_l_recall"].isna().all() for table in tables.values())
    assert {summary["model_utility"].value for summary in summaries.values()} == {None}
    assert summaries["ETW/seed1"]["forget_quality"].value == 1.0


def test_rows_without_false_answers_count_for_probability_and_rouge(records, tiny, sharp, encoder):
    """TOFU's form without `retain_perturbed` and utility sets: what needs them is undefined, and says so."""
    bare = [
        replace(record, paraphrased_answer=None, perturbed_answers=()) if "retain90" in record.splits else record
        for record in records
        if record.set == "full"
    ]
    probes = probes_of(TOFU.data(bare), retain=3)
    models = {"full": tiny[0], "retain": sharp}
    measured = {who: measure(model, encoder, probes, MEASURE, 700, None)[:2] for who, model in models.items()}
    tables, summaries = evaluate(TOFU, measured, probes, CONFIG)
    assert tables["full"].groupby("set").size().to_dict() == {"forget": 4, "retain": 3}
    summary = summaries["full"]
    for name in ("retain_Q_A_Prob", "retain_Q_A_ROUGE", "forget_truth_ratio", "neg_log10_fq"):
        assert summary[name].value is not None, name
    for name in ("retain_Truth_Ratio", "retain_Q_A_PERT_Prob", "retain_Q_A_PARA_Prob", "model_utility", "delta_mu"):
        assert summary[name].value is None, name
    assert "it needs perturbed answers" in summary["retain_Truth_Ratio"].reason
    assert "set 'holdout'" in summary["privleak"].reason
