"""One table of runs, whether the study holds together, and which samples are shown."""

import copy
import math

import pandas as pd
import pytest

from lethe.benchmarks.tofu import Tofu
from lethe.config import EvaluateConfig, MeasureConfig, TrainingConfig
from lethe.evaluation.check import SEPARATED, markdown
from lethe.evaluation.check import check as check_of
from lethe.evaluation.evaluate import evaluate
from lethe.evaluation.measure import measure
from lethe.evaluation.runs import read_logs, read_runs, run_row
from lethe.evaluation.sets import asked, by_set, thinned
from lethe.evaluation.trajectory import trajectory
from lethe.io import read_table, write_table
from lethe.metrics import Value
from lethe.tokens.shown_samples import default_samples
from lethe.training.loop import FineTuning, train
from lethe.training.recorders import Measurement, Recorder, together

TOFU = Tofu()
METRICS = TOFU.metrics
KNOWN = TOFU.headline.knows


def check(runs):
    return check_of(runs, TOFU)


# --- runs -------------------------------------------------------------------------------------------------


def test_row_of_a_run():
    summary = {"forget_quality": Value(0.5), "privleak": Value(None, "no holdout set")}
    row = run_row("small", "forget10", "ETW/seed12", summary)
    assert list(row) == ["model", "split", "method", "seed", "forget_quality", "privleak"]
    assert [row[key] for key in ("model", "split", "method", "seed")] == ["small", "forget10", "ETW", 12]
    assert row["forget_quality"] == 0.5
    assert math.isnan(row["privleak"])


@pytest.mark.parametrize("who", ["full", "retain"])
def test_row_of_a_reference_model_has_no_seed(who):
    row = run_row("small", "forget10", who, {})
    assert (row["method"], row["seed"]) == (who, None)


def test_seed_zero_is_a_seed():
    assert run_row("small", "forget10", "GA/seed0", {})["seed"] == 0


def test_runs_of_several_files_keep_order_and_seeds(tmp_path):
    groups = [["full", "GA/seed1", "GA/seed0"], ["full", "retain"]]
    paths = []
    for i, whos in enumerate(groups):
        rows = [run_row(f"model{i}", "forget10", who, {"forget_quality": Value(0.25)}) for who in whos]
        paths.append(tmp_path / f"{i}.parquet")
        write_table(paths[-1], pd.DataFrame(rows))
    runs = read_runs(str(path) for path in paths)
    assert runs["model"].tolist() == ["model0"] * 3 + ["model1"] * 2
    assert runs["method"].tolist() == ["full", "GA", "GA", "full", "retain"]
    assert str(runs["seed"].dtype) == "Int64"
    assert runs["seed"].isna().tolist() == [True, False, False, True, True]
    assert runs["seed"].dropna().tolist() == [1, 0]
    assert runs.index.tolist() == [0, 1, 2, 3, 4]


def test_logs_know_method_and_seed_from_their_paths(tmp_path):
    for method, seed, columns in [("GA", 0, {"loss_forget": [1.0, 2.0]}), ("GradDiff", 11, {"loss_retain": [3.0]})]:
        write_table(tmp_path / method / f"seed{seed}" / "log.parquet", pd.DataFrame({"step": 1, **columns}))
    logs = read_logs([tmp_path / "GradDiff/seed11/log.parquet", str(tmp_path / "GA/seed0/log.parquet")])
    assert logs["method"].tolist() == ["GradDiff", "GA", "GA"]
    assert logs["seed"].tolist() == [11, 0, 0]
    assert logs["loss_forget"].tolist()[1:] == [1.0, 2.0]
    assert logs["loss_retain"].isna().tolist() == [False, True, True]


@pytest.mark.parametrize("missing", ["loss_forget", "loss_retain"])
def test_logs_without_a_loss_have_its_column_all_the_same(tmp_path, missing):
    kept = ({"loss_forget", "loss_retain"} - {missing}).pop()
    write_table(tmp_path / "GA" / "seed0" / "log.parquet", pd.DataFrame({kept: [1.0]}))
    logs = read_logs([tmp_path / "GA/seed0/log.parquet"])
    assert logs[missing].isna().all()
    assert logs[kept].tolist() == [1.0]


# --- trajectories -----------------------------------------------------------------------------------------

GENERATED = {
    "model_utility",
    "delta_mu",
    "delta_mu_relative",
    "aggregate",
    *(name for name in METRICS if name.endswith("ROUGE")),
}


def in_training(model, encoder, data, probes, config, seed):
    """Tables of a run over three epochs, looked at after every second; the run learns what it should forget."""
    examples = encoder.examples(data.forget("forget10")[:3])
    settings = TrainingConfig(epochs=3, batch_size=2, learning_rate=1e-2, warmup_epochs=0.0)
    look = Measurement(encoder, probes, config, 700)
    epochs = [2, 3]
    recorders = [Recorder(which, epochs) for which in (look.tokens, look.generations)]
    train(copy.deepcopy(model), FineTuning(examples), len(examples), settings, seed, 0, together(*recorders))
    return tuple(recorder.table() for recorder in recorders)


@pytest.fixture(scope="module", params=["cheap", "full"])
def suite(request, sharp, tiny, encoder, data):
    """Suite, runs, references (measured on more rows than the runs), probes measured during training, config."""
    limits = {"forget": 4, "retain": 4, "real_authors": 3, "world_facts": 3, "holdout": 4}
    config = MeasureConfig(
        max_new_tokens=4,
        every=2,
        suite=request.param,
        during={"forget": 3, "retain": 2, "real_authors": 2, "world_facts": 2},
    )
    whole = asked(data, ["forget10"], ["forget10"], limits)
    probes = thinned(whole, config.during)
    runs = {f"GA/seed{seed}": in_training(sharp, encoder, data, probes, config, seed) for seed in (0, 12)}
    models = {"full": sharp, "retain": tiny[0]}
    references = {who: measure(model, encoder, whole, config, 700, None)[:2] for who, model in models.items()}
    return request.param, runs, references, probes, EvaluateConfig()


@pytest.fixture(scope="module")
def table(suite, data):
    _, runs, references, probes, config = suite
    return trajectory(TOFU, "small", "forget10", runs, references, probes, config)


def test_a_row_for_each_reference_and_each_epoch_looked_at(table):
    assert list(table.columns) == ["model", "split", "method", "seed", *METRICS, "epoch"]
    assert str(table["seed"].dtype) == str(table["epoch"].dtype) == "Int64"
    assert set(table["model"]) == {"small"}
    assert set(table["split"]) == {"forget10"}
    references = table[table["method"].isin(["full", "retain"])]
    assert references["method"].tolist() == ["full", "retain"]
    assert references[["seed", "epoch"]].isna().all(axis=None)
    runs = table.drop(references.index)
    assert set(runs["method"]) == {"GA"}
    assert list(zip(runs["seed"], runs["epoch"], strict=True)) == [(s, e) for s in (0, 12) for e in (0, 2, 3)]


def test_before_the_first_step_a_run_is_the_full_model(table, suite, sharp, encoder, data):
    """Though the full model was measured on more rows, with generations, and not by the run."""
    kind, _, references, probes, config = suite
    # what a run would see before its first step
    tokens, generations, _ = measure(sharp, encoder, probes, MeasureConfig(max_new_tokens=4), 700, None)
    if kind == "cheap":
        generations = generations.iloc[:0]
        references = {who: (found, said.iloc[:0]) for who, (found, said) in references.items()}
    _, summaries = evaluate(TOFU, {**references, "start": (tokens, generations)}, probes, config)
    full = table[table["method"] == "full"].iloc[0]
    starts = table[table["epoch"] == 0]
    assert len(starts) == 2
    for _, row in starts.iterrows():
        for name, value in summaries["start"].items():
            assert row[name] == pytest.approx(math.nan if value.value is None else value.value, nan_ok=True), name
    later = table[table["epoch"] == 3]
    assert (later["forget_Q_A_Prob"] > full["forget_Q_A_Prob"]).all(), "the runs go on learning"


def test_metrics_that_need_generations_are_undefined_in_all_rows_or_in_none(table, suite):
    cheap = suite[0] == "cheap"
    for name in METRICS:
        undefined = table[name].isna()
        if name in GENERATED and cheap:
            assert undefined.all(), name
        elif name not in ("aggregate", "delta_mu_relative"):  # no utility is lost; there is none to lose
            assert not undefined.any(), name
    assert table["utility_teacher_forced"].notna().all()


def test_rows_are_those_of_an_evaluation_on_the_same_rows(table, suite, data):
    kind, runs, references, probes, config = suite
    tokens, generations = runs["GA/seed12"]
    last = tokens[tokens["epoch"] == 3], generations[generations["epoch"] == 3]
    if kind == "cheap":
        references = {who: (found, said.iloc[:0]) for who, (found, said) in references.items()}
    _, summaries = evaluate(TOFU, {**references, "last": last}, probes, config)
    row = table[(table["seed"] == 12) & (table["epoch"] == 3)].iloc[0]
    for name, value in summaries["last"].items():
        assert row[name] == pytest.approx(math.nan if value.value is None else value.value, nan_ok=True), name
    assert summaries["last"]["forget_Q_A_Prob"].counts["samples"] == len(by_set(probes)["forget"]) == 3


def test_trajectories_survive_files(table, suite, data, tmp_path):
    """Runs are read back from Parquet, in which a cheap suite's generations are a table without rows."""
    _, runs, references, probes, config = suite
    stored = {}
    for i, (run, tables) in enumerate(runs.items()):
        paths = [tmp_path / f"{name}{i}.parquet" for name in ("tokens", "generations")]
        for path, part in zip(paths, tables, strict=True):
            write_table(path, part)
        stored[run] = tuple(map(read_table, paths))
    again = trajectory(TOFU, "small", "forget10", stored, references, probes, config)
    pd.testing.assert_frame_equal(again, table)
    write_table(tmp_path / "runs.parquet", table)
    assert read_runs([tmp_path / "runs.parquet"])["epoch"].isna().tolist() == table["epoch"].isna().tolist()


# --- check ------------------------------------------------------------------------------------------------


def study(full_prob=0.95, retain_prob=0.1, fq=1e-6, model="small", split="forget10"):
    shared = {"model": model, "split": split, "model_utility": 0.6}
    return [
        {**shared, "method": "full", "forget_Q_A_Prob": full_prob, "forget_quality": fq},
        {**shared, "method": "retain", "forget_Q_A_Prob": retain_prob, "forget_quality": 1.0},
        {**shared, "method": "ETW", "forget_Q_A_Prob": 0.0, "forget_quality": 0.5},
    ]


def test_sound_study():
    table = check(pd.DataFrame(study()))
    assert table.to_dict("records") == [
        {
            "model": "small",
            "split": "forget10",
            "full_prob": 0.95,
            "retain_prob": 0.1,
            "full_fq": 1e-6,
            "full_mu": 0.6,
            "known": True,
            "unknown": True,
            "separated": True,
        }
    ]
    text = markdown(table)
    assert "✗" not in text
    assert text.count("✓") == 3
    assert "| small | forget10 | ✓ P = 0.950 | ✓ P = 0.100 | ✓ FQ p = 1e-06 | 0.600 |" in text


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ({"full_prob": KNOWN}, "known"),
        ({"retain_prob": KNOWN / 2}, "unknown"),
        ({"fq": SEPARATED}, "separated"),
        ({"full_prob": math.nan}, "known"),
        ({"fq": math.nan}, "separated"),
    ],
    ids=["full does not know", "retain knows", "not told apart", "undefined probability", "undefined quality"],
)
def test_study_that_fails(values, column):
    table = check(pd.DataFrame(study(**values)))
    judged = table[["known", "unknown", "separated"]].iloc[0]
    assert judged[~judged.astype(bool)].index.tolist() == [column]
    text = markdown(table)
    assert text.count("✗ ") == 1
    assert "`finetune.epochs`" in text


def test_thresholds():
    assert (KNOWN, SEPARATED) == (0.8, 0.01)
    assert check(pd.DataFrame(study(full_prob=0.801, retain_prob=0.399, fq=0.0099)))[
        ["known", "unknown", "separated"]
    ].all(axis=None)


def test_one_row_per_model_and_split_in_order():
    runs = [*study(model="wide"), *study(model="small", split="forget05"), *study(model="small", full_prob=0.2)]
    table = check(pd.DataFrame(runs))
    assert list(zip(table["model"], table["split"], strict=True)) == [
        ("wide", "forget10"),
        ("small", "forget05"),
        ("small", "forget10"),
    ]
    assert table["known"].tolist() == [True, True, False]
    lines = markdown(table).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:5]] == ["wide", "small", "small"]
    assert len({line.count("|") for line in lines[:5]}) == 1, "a Markdown table has as many cells in every row"


# --- samples of the heat-map ------------------------------------------------------------------------------


def test_default_samples_are_the_first_of_each_author():
    table = pd.DataFrame({"sample": ["b1", "b1", "b2", "a1", "a2", "a1", "c1"], "position": 0})
    groups = {"b1": "B", "b2": "B", "a1": "A", "a2": "A", "c1": "C", "elsewhere": "D"}
    assert default_samples(table, groups) == ["b1", "a1"]
    assert default_samples(table, groups, count=5) == ["b1", "a1", "c1"]
    assert default_samples(table, groups, count=1) == ["b1"]
