"""One table of runs, whether the study holds together, and which samples are shown."""

import math

import pandas as pd
import pytest

from lethe.check import KNOWN, SEPARATED, check, markdown
from lethe.io import write_table
from lethe.metrics import Value
from lethe.results import read_logs, read_runs, run_row
from lethe.samples import default_samples

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
