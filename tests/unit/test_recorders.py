"""Looks during training: when they are taken, what they see, and that processes share them without a trace."""

import copy
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from lethe.config import MeasureConfig, TrainingConfig
from lethe.evaluation.measure import measure
from lethe.evaluation.sets import asked, by_set
from lethe.io import read_table, write_table
from lethe.models.forward import Question, score_answers
from lethe.training.loop import Context, FineTuning, train
from lethe.training.recorders import Measurement, Recorder, look_at_tokens, together

SEED = 3
TEMPERATURES = (0.5, 2.0)
ANSWERS = ["set", "sample", "kind", "index", "position"]
CONFIG = MeasureConfig(max_new_tokens=5, suite="full")


@pytest.fixture(scope="module")
def forget(data):
    return data.forget("forget10")


@pytest.fixture(scope="module")
def probes(data):
    limits = {"forget": 3, "retain": 2, "real_authors": 3, "world_facts": 2, "holdout": 1}
    return asked(data, ["forget10"], ["forget10"], limits)


def context(model, **changes) -> Context:
    return Context(model, TrainingConfig(batch_size=4, **changes), gpus=0)


class Spoken(Exception):
    """A process has said its part and now waits for the others."""


class Process(Context):
    """One of several processes that run one after the other; `told` holds what all of them have said."""

    def __init__(self, model, rank, world, told=None):
        super().__init__(model, TrainingConfig(batch_size=2), gpus=0)
        self.place, self.told, self.said = (rank, world), told, []

    @property
    def rank(self):
        return self.place[0]

    @property
    def world(self):
        return self.place[1]

    def gather(self, values):
        self.said += values
        if self.told is None:
            raise Spoken
        return self.told


def of_processes(look, model, world) -> list[pd.DataFrame]:
    """What a look returns on each process. Everybody speaks first, then everybody hears all of it."""
    speakers = [Process(model, rank, world) for rank in range(world)]
    for speaker in speakers:
        with pytest.raises(Spoken):
            look(speaker)
    told = [value for speaker in speakers for value in speaker.said]
    return [look(Process(model, rank, world, told)) for rank in range(world)]


# --- when a look is taken -----------------------------------------------------------------------------------


def test_a_recorder_looks_after_its_epochs_only():
    recorder = Recorder(lambda context: pd.DataFrame({"step": [context.step]}), [0, 2, 3])
    for done in range(5):
        recorder(SimpleNamespace(step=10 * done), done)
    assert recorder.table()["epoch"].tolist() == [0, 2, 3]
    assert recorder.table()["step"].tolist() == [0, 20, 30]


def test_tables_are_stacked_in_order_with_the_epoch():
    tables = iter([pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [3]})])
    recorder = Recorder(lambda context: next(tables), range(2))
    recorder(None, 0)
    recorder(None, 1)
    table = recorder.table()
    assert table.to_dict("list") == {"x": [1, 2, 3], "epoch": [0, 0, 1]}
    assert table["epoch"].dtype == np.int32
    assert table.index.tolist() == [0, 1, 2]


def test_several_recorders_look_at_one_model_each_in_its_own_time():
    seen = []

    def look(name):
        def at(context):
            seen.append((name, context.step))
            return pd.DataFrame({"name": [name]})

        return at

    first, second = Recorder(look("first"), range(5)), Recorder(look("second"), [0, 2, 4])
    at_epoch = together(first, second)
    for done in range(5):
        at_epoch(SimpleNamespace(step=done), done)
    assert seen[:3] == [("first", 0), ("second", 0), ("first", 1)]
    assert first.table()["epoch"].tolist() == [0, 1, 2, 3, 4]
    assert second.table()["epoch"].tolist() == [0, 2, 4]
    assert together()(None, 0) is None


# --- tokens -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen(sharp, encoder, forget):
    return look_at_tokens(encoder.examples(forget), TEMPERATURES)(context(sharp))


def test_tokens_have_the_values_of_score_answers(seen, sharp, encoder, forget):
    """The other way round: a cached prompt, other batches, no gradients."""
    questions = [Question(encoder.prompt(r.prompt), [encoder.answer(r.answer)[0]]) for r in forget]
    scores, _ = score_answers(sharp, questions, TEMPERATURES)
    assert list(seen.columns) == ["sample", "position", "token_id", "logprob", "entropy_T0.5", "entropy_T2.0"]
    assert sorted(seen["sample"].unique()) == sorted(record.id for record in forget)
    for record, question, (score,) in zip(forget, questions, scores, strict=True):
        rows = seen[seen["sample"] == record.id]
        assert rows["token_id"].tolist() == question.answers[0]
        assert rows["position"].tolist() == list(range(len(rows)))
        np.testing.assert_allclose(rows["logprob"], score.logprob, rtol=0, atol=2e-5)
        for t in TEMPERATURES:
            np.testing.assert_allclose(rows[f"entropy_T{t}"], score.entropy[t], rtol=0, atol=2e-5)


def test_tokens_are_ordered_whatever_the_order_of_the_rows(seen, sharp, encoder, forget):
    look = look_at_tokens(encoder.examples(forget[::-1]), TEMPERATURES)
    again = look(context(sharp, micro_batch_size=1))
    pd.testing.assert_frame_equal(again, seen, check_exact=False, rtol=0, atol=2e-5)
    assert seen[["sample", "position"]].apply(tuple, axis=1).is_monotonic_increasing
    assert seen.index.tolist() == list(range(len(seen)))


@pytest.mark.parametrize("world", [2, 3, 7])  # 4 rows: with 7 processes three have nothing to do
def test_tokens_shared_out_give_the_same_table_on_every_process(seen, sharp, encoder, forget, world):
    for table in of_processes(look_at_tokens(encoder.examples(forget), TEMPERATURES), sharp, world):
        pd.testing.assert_frame_equal(table, seen, check_exact=False, rtol=0, atol=2e-5)


# --- probes ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured(sharp, encoder, probes):
    return measure(sharp, encoder, probes, CONFIG, 700, None)[:2]


def ordered(table, keys) -> pd.DataFrame:
    return table.sort_values(keys, ignore_index=True)


def assert_same_tokens(found, expected, check_dtype):
    found, expected = ordered(found, ANSWERS), ordered(expected, ANSWERS)
    pd.testing.assert_frame_equal(found, expected, check_dtype, check_exact=False, rtol=0, atol=2e-5)


def test_full_measurement_is_that_of_measure(measured, sharp, encoder, probes):
    look = Measurement(encoder, probes, CONFIG, 700)
    pd.testing.assert_frame_equal(look.tokens(context(sharp)), measured[0])
    pd.testing.assert_frame_equal(look.generations(context(sharp)), measured[1])


def test_cheap_measurement_generates_nothing(measured, sharp, encoder, probes, monkeypatch):
    monkeypatch.setattr("lethe.evaluation.measure.generate", lambda *_: pytest.fail("nothing must be generated"))
    look = Measurement(encoder, probes, CONFIG.model_copy(update={"suite": "cheap"}), 700)
    pd.testing.assert_frame_equal(look.tokens(context(sharp)), measured[0])
    generations = look.generations(context(sharp))
    assert generations.empty
    assert list(generations.columns) == list(measured[1].columns)


def test_cheap_is_the_default():
    assert MeasureConfig().suite == "cheap"


@pytest.mark.parametrize("world", [2, 5])  # the largest set has 3 rows: with 5 processes two have nothing to do
def test_measurement_shared_out_gives_the_same_rows_on_every_process(measured, sharp, encoder, probes, world):
    look = Measurement(encoder, probes, CONFIG, 700)
    assert max(map(len, by_set(probes).values())) == 3
    for tokens in of_processes(look.tokens, sharp, world):
        assert_same_tokens(tokens, measured[0], check_dtype=world == 2)
    for generations in of_processes(look.generations, sharp, world):
        keys = ["set", "sample"]
        expected = ordered(measured[1], keys)
        pd.testing.assert_frame_equal(ordered(generations, keys), expected, check_dtype=world == 2)


def test_precision_is_that_of_the_training(seen, measured, sharp, encoder, forget, probes):
    half = context(sharp, precision="bfloat16")
    for look, exact in (
        (look_at_tokens(encoder.examples(forget), TEMPERATURES), seen),
        (Measurement(encoder, probes, CONFIG, 700).tokens, measured[0]),
    ):
        difference = np.abs(look(half)["logprob"] - exact["logprob"])
        assert 1e-4 < difference.max() < 1


# --- within training ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", ["cheap", "full"])
def test_looks_see_the_model_of_their_epoch_and_leave_training_alone(tiny, encoder, forget, probes, suite, tmp_path):
    examples = encoder.examples(forget)
    config = TrainingConfig(epochs=3, batch_size=2, learning_rate=1e-2, warmup_epochs=0.0)
    settings = CONFIG.model_copy(update={"suite": suite})
    look = Measurement(encoder, by_set(probes)["forget"], settings, 700)
    recorders = [
        Recorder(look_at_tokens(examples, (1.0,)), range(4)),
        Recorder(look.tokens, [0, 2, 3]),
        Recorder(look.generations, [0, 2, 3]),
    ]
    watched, alone = copy.deepcopy(tiny[0]), copy.deepcopy(tiny[0])
    train(watched, FineTuning(examples), len(examples), config, SEED, 0, together(*recorders))
    train(alone, FineTuning(examples), len(examples), config, SEED, 0)
    assert all(torch.equal(p, q) for p, q in zip(watched.parameters(), alone.parameters(), strict=True))
    seen, tokens, generations = (recorder.table() for recorder in recorders)
    assert seen["epoch"].unique().tolist() == [0, 1, 2, 3]
    means = seen.groupby("epoch")["logprob"].mean()
    assert means.is_monotonic_increasing, "fine-tuning makes its rows likelier"
    assert tokens["epoch"].unique().tolist() == [0, 2, 3]
    assert generations["epoch"].unique().tolist() == ([] if suite == "cheap" else [0, 2, 3])
    for epoch, model in ((0, tiny[0]), (3, alone)):
        expected = measure(model, encoder, by_set(probes)["forget"], settings, 700, None)
        part = tokens[tokens["epoch"] == epoch].drop(columns="epoch").reset_index(drop=True)
        pd.testing.assert_frame_equal(part, expected[0])
        if suite == "full":
            part = generations[generations["epoch"] == epoch].drop(columns="epoch").reset_index(drop=True)
            pd.testing.assert_frame_equal(part, expected[1])
    # What a run hands over has its columns even if nothing was generated.
    write_table(tmp_path / "g.parquet", generations)
    again = read_table(tmp_path / "g.parquet", ["set", "sample", "generation", "epoch"])
    assert len(again) == len(generations)
