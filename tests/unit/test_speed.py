"""The benchmark scripts at toy size: both ways agree, the report has its rows, and memory is really measured.

Nothing here looks at the clock: how fast the two ways are is for the scripts to say on a quiet machine.
"""

import dataclasses
import gc
import json
import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from lethe.config import PromptConfig, ScratchConfig
from lethe.evaluation.sets import by_set
from lethe.models import sources as models

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "speed"))

import evaluation
import measure_peak
import plain_losses
import token_statistics
import unlearn_step

CPU = torch.device("cpu")
TOFU = Path(os.environ.get("LETHE_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data" / "tofu"


@pytest.fixture(autouse=True, scope="module")
def quick_collection():
    """Memory passes collect garbage first; what other tests have imported need not be looked through each time."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def report(tmp_path):
    """Runs a script in this process; returns exit status and JSON."""

    def run(script, *arguments):
        path = tmp_path / "report.json"
        fixed = ["--device", "cpu", "--threads", "1", "--repetitions", "1", "--json", str(path)]
        status = script.main([*map(str, arguments), *fixed], isolated=False)
        return status, json.loads(path.read_text())

    return run


def numbers(rows):
    return [value for row in rows for value in row.values() if isinstance(value, int | float)]


# --- measuring ----------------------------------------------------------------------------------------------


def test_ways_take_turns_and_the_order_is_reversed():
    order = []

    def way(name):
        def run():
            order.append(name)
            return {"work": float(len(order))}, {"number": len(order)}

        return run

    outcome = measure_peak.compare({n: partial(way, n) for n in "ab"}, CPU, 1, repetitions=3, isolated=False)
    assert "".join(order) == "ab" + "ab" + "ab" + "ba" + "ab"  # warm-up, memory, three timed
    assert outcome["a"].values["number"] == 1
    assert [p["work"] for p in outcome["a"].passes] == [5, 8, 9]
    assert outcome["a"].seconds() == outcome["a"].seconds("work") == 8


def test_seconds_of_phases_are_added_before_the_median():
    passes = [{"x": 1.0, "y": 9.0}, {"x": 2.0, "y": 2.0}, {"x": 3.0, "y": 4.0}]
    outcome = measure_peak.Outcome({}, 0.0, passes)
    assert (outcome.seconds("x"), outcome.seconds("y"), outcome.seconds()) == (2, 4, 7)


def test_values_without_warm_up_come_from_the_memory_pass():
    passes = iter(range(3))
    ways = {"a": lambda: lambda: ({"work": 0.0}, {"number": next(passes)})}
    outcome = measure_peak.compare(ways, CPU, 1, repetitions=2, warm_up=0, isolated=False)
    assert outcome["a"].values["number"] == 0
    assert next(passes, None) is None


def test_peak_is_what_a_pass_held_at_once():
    meter = measure_peak.PeakMeter(CPU)
    if not meter.resettable:
        pytest.skip("the high-water mark cannot be reset here")

    def work():
        first = np.ones(60 * 2**17)  # 60 MiB: glibc gives back at once what is larger than 32 MiB
        del first
        return float(np.ones(80 * 2**17).sum())

    for _ in range(2):
        assert 79 < meter.measure(work) < 90


def test_peaks_of_ways_in_processes_of_their_own():
    """400 × 20,000 fp32 logits are 30.5 MiB; the plain way holds several such arrays, the kernel a few of 1.2 MiB."""
    if not measure_peak.PeakMeter(CPU).resettable:
        pytest.skip("the high-water mark cannot be reset here")
    problem = token_statistics.Problem(400, 8, 20000, "fp32", False, CPU, chunk=16)
    ways = {
        name: partial(token_statistics.prepare, getattr(token_statistics, name), problem) for name in ("plain", "lethe")
    }
    outcome = measure_peak.compare(ways, CPU, 1, repetitions=1)
    assert outcome["plain"].peak_mib > 2 * 30.5
    assert 1.2 < outcome["lethe"].peak_mib < 30.5
    np.testing.assert_allclose(outcome["lethe"].values["logprob"], outcome["plain"].values["logprob"], rtol=1e-5)


def test_relative_difference():
    a, b = np.array([1.0, 2.0, -4.5]), np.array([1.0, 2.5, -5.0])
    assert measure_peak.relative_difference(a, b) == 0.1
    assert measure_peak.relative_difference(np.zeros(2), np.zeros(2)) == 0
    assert measure_peak.relative_difference(np.zeros(0), np.zeros(0)) == 0
    with pytest.raises(ValueError, match="not alike"):
        measure_peak.relative_difference(np.ones((2, 1)), np.ones(2))
    with pytest.raises(ValueError, match="not finite"):
        measure_peak.relative_difference(np.array([np.nan]), np.ones(1))


def test_tensors_that_share_storage_count_once():
    tensor = torch.zeros(2**18)
    assert measure_peak.tensor_mib(tensor, tensor, torch.zeros(2**17)) == 1.5


def test_markdown():
    rows = [{"name": "a", "value": 0.123456}, {"name": "b", "value": None}]
    text = measure_peak.markdown(rows, {"name": ("way", ""), "value": ("ratio", ".2f")})
    assert text.splitlines() == ["| way | ratio |", "| --- | ---: |", "| a | 0.12 |", "| b | – |"]


# --- the scripts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "tolerance"), [("fp32", 1e-5), ("bf16", 2e-2)])
def test_token_statistics(report, capsys, dtype, tolerance):
    sizes = ["--tokens", 37, "--hidden", 16, "--vocab", 101, "--large-vocab", 211, "--large-tokens", 29]
    status, result = report(token_statistics, *sizes, "--dtype", dtype)
    assert status == 0
    assert result["agree"] is True
    assert [(r["tokens"], r["vocab"], r["entropy"]) for r in result["rows"]] == [
        (37, 101, "weight"),
        (37, 101, "differentiated"),
        (29, 211, "weight"),
        (29, 211, "differentiated"),
    ]
    for row in result["rows"]:
        assert row["value_difference"] < tolerance
        assert row["gradient_difference"] < tolerance
    assert np.isfinite(numbers(result["rows"])).all()
    assert capsys.readouterr().out.count("| differentiated |") == 2


def test_differentiated_entropy_changes_the_gradient():
    gradients = []
    for differentiate in (False, True):
        problem = token_statistics.Problem(11, 8, 31, "fp32", differentiate, CPU)
        gradients.append(token_statistics.prepare(token_statistics.plain, problem)()[1]["grad_hidden"])
    assert (gradients[0] - gradients[1]).abs().max() > 0.1


def test_tokens_that_fit(monkeypatch):
    monkeypatch.setattr(token_statistics, "available_bytes", lambda device: 2**34)
    fit = token_statistics.tokens_that_fit(128256, 8192, CPU)
    assert fit % 64 == 0
    assert fit * 128256 * 4 * token_statistics.PLAIN_COPIES <= 2**33 < (fit + 64) * 128256 * 4 * 6
    assert token_statistics.tokens_that_fit(128256, 128, CPU) == 128
    monkeypatch.setattr(token_statistics, "available_bytes", lambda device: 0)
    assert token_statistics.tokens_that_fit(128256, 8192, CPU) == 64


STEP = ["--vocab", 101, "--hidden", 32, "--layers", 2, "--rows", 3, "--tokens", 13, "--labelled", 8]
TOKEN_METHODS = ["GA", "GradDiff", "WGA", "TNPO", "WTNPO", "Imp", "SatImp", "SCN", "SCE", "ETW"]
METHODS = [*TOKEN_METHODS, "NPO", "SimNPO", "IdkDPO", "UNDIAL", "RMU"]


def step_problem(temperature=1.0):
    return unlearn_step.Problem(101, 32, 2, 4, 3, 13, 8, "float32", temperature, CPU)


def test_unlearn_step(report, capsys):
    status, result = report(unlearn_step, *STEP)
    assert status == 0
    rows = {row["method"]: row for row in result["rows"]}
    assert list(rows) == METHODS
    for row in rows.values():
        assert row["difference"] < 1e-4
    losses = {name: f"{row['loss_forget']:.3g}" for name, row in rows.items()}
    assert losses["GA"] == losses["GradDiff"]
    assert len(set(losses.values())) == len(METHODS) - 1  # weights and references have something to do
    assert rows["GA"]["loss_retain"] is None
    assert len({round(row["loss_retain"], 4) for name, row in rows.items() if name not in ("GA", "RMU")}) == 1
    assert rows["GA"]["gradient_norm"] != pytest.approx(rows["GradDiff"]["gradient_norm"], rel=0.01)
    assert [name for name, row in rows.items() if not row["time_to_base"]] == ["GradDiff"]
    printed = capsys.readouterr().out
    assert "ETW (T = 1) / GradDiff within Lethe: time" in printed
    assert "Both ways give the same values." in printed

    held, kept = rows["GradDiff"]["lethe_held_mib"], 3 * 8 * 32 * 4 / 2**20  # three rows of eight tokens, H = 32, fp32
    for name, row in rows.items():
        if name == "RMU":  # nothing above the steered layer has an AdamW state
            assert row["lethe_held_mib"] < held
            assert row["plain_held_mib"] - row["lethe_held_mib"] == pytest.approx(held / 3 - kept, rel=0.01)
            continue
        states = kept + 101 * 32 * 4 / 2**20 if name == "UNDIAL" else 0.0  # and the starting model's head
        assert row["lethe_held_mib"] == pytest.approx(held + states)
        # AdamW holds two numbers a weight; the copy is one more
        copied = name in ("WGA", "SatImp", "TNPO", "WTNPO", "NPO", "IdkDPO", "UNDIAL")
        assert row["plain_held_mib"] == pytest.approx(held * 4 / 3 if copied else held, rel=0.01)


@pytest.mark.parametrize("name", METHODS)
def test_forget_gradients_of_both_ways_agree(name, monkeypatch):
    """Without the retain term, beside which small weights would not show in the gradient norm; ETW at T = 0.3.

    There the plain way's entropies are the less exact ones: torch's fp32 log-softmax loses the small shares beside a
    certain word (`lethe.methods.kernel.log_softmax`).
    """
    whole = unlearn_step.Problem.method
    alone = {"retain_strength": 0.0}
    monkeypatch.setattr(unlearn_step.Problem, "method", lambda self, name: whole(self, name).model_copy(update=alone))
    ours, theirs = (first_step(way, step_problem(0.3), name) for way in (unlearn_step.lethe, unlearn_step.plain))
    assert theirs["gradient_norm"] > 0
    assert ours == pytest.approx(theirs, rel=1e-3 if name == "ETW" else 1e-4, abs=0)


def first_step(way, problem, name):
    _, values = way(problem, name)()
    return {key: torch.as_tensor(values[key]).item() for key in unlearn_step.COMPARED if key in values}


def test_temperature_is_that_of_etw():
    def loss(name, temperature):
        return first_step(unlearn_step.plain, step_problem(temperature), name)["loss_forget"]

    assert loss("ETW", 1.0) != pytest.approx(loss("ETW", 0.3), rel=5e-3)
    assert loss("WGA", 1.0) == loss("WGA", 0.3)


def test_rmu_steers_at_open_unlearnings_depth():
    problem = dataclasses.replace(step_problem(), layers=16)  # Llama 3.2 1B
    assert problem.method("RMU").objective.layer == problem.method("RMU").retain.layer == 7


def test_refusals_answer_the_forget_prompts():
    problem = step_problem()
    for row, refusal in zip(problem.examples("forget"), problem.refusals(), strict=True):
        assert (refusal.sample, refusal.prompt, len(refusal.answer)) == (row.sample, row.prompt, 2)
        assert refusal.answer != row.answer[:2]


def test_cost_of_a_method_in_relation_to_graddiff(report, capsys, monkeypatch):
    """A run of ETW alone takes GradDiff in turn with it, and says what ETW costs more."""
    taken = []

    def compare(ways, *arguments, **options):
        taken.extend((name, way.func.__name__, way.args[1]) for name, way in ways.items())
        values = dict.fromkeys([*unlearn_step.COMPARED, "held_mib"], np.float32(1.0))
        cost = {"plain": (6.0, 90.0), "lethe": (3.0, 24.0), "base": (2.0, 20.0)}
        return {name: measure_peak.Outcome(values, cost[name][1], [{"step": cost[name][0]}]) for name in ways}

    monkeypatch.setattr(unlearn_step, "compare", compare)
    _, result = report(unlearn_step, *STEP, "--methods", "ETW")
    assert taken == [("plain", "plain", "ETW"), ("lethe", "lethe", "ETW"), ("base", "lethe", "GradDiff")]
    (row,) = result["rows"]
    assert (row["time_to_base"], row["peak_to_base"], row["speed_up"]) == (1.5, 1.2, 2)
    assert "time 1.50, peak 1.20. Expected: ≤ 1.05." in capsys.readouterr().out


def test_unlearn_step_says_which_method_disagrees(report, capsys, monkeypatch):
    """A retain pass that Lethe's GA does not run shows in the gradient norm, the only trace that it has there."""
    monkeypatch.setitem(plain_losses.FORGET, "WGA", plain_losses.ascent)
    monkeypatch.delitem(plain_losses.RETAIN, "GA")
    status, result = report(unlearn_step, *STEP, "--methods", "GradDiff", "WGA", "GA")
    assert status == 1
    assert result["agree"] is False
    printed = capsys.readouterr().out
    assert "losses or gradient norm of WGA, GA" in printed
    assert "ETW" not in printed


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--tokens", "8", "--labelled", "8"], "--labelled"),
        (["--layers", "1"], "--layers"),
        (["--methods", "Oracle"], "--methods"),
    ],
)
def test_unlearn_step_names_the_wrong_option(capsys, arguments, named):
    with pytest.raises(SystemExit):
        unlearn_step.main(arguments, isolated=False)
    assert named in capsys.readouterr().err.splitlines()[-1]


def check_evaluation(status, result, answers):
    assert status == 0
    assert result["difference"] < 1e-4
    assert [row["phase"] for row in result["phases"]] == [
        "teacher-forced",
        "generation",
        "metrics",
        "tokenising, tables",
    ]
    scored, generated, metrics, _ = result["phases"]
    assert scored["least"] < scored["anew"]
    assert scored["fed"] >= scored["least"]
    assert generated["fed"] >= generated["least"]
    plain, lethe = result["rows"]
    assert (plain["way"], lethe["way"]) == ("plain", "Lethe")
    assert plain["fed"] >= scored["anew"]
    assert lethe["fed"] == scored["fed"]
    assert np.isfinite(numbers(result["phases"] + result["rows"])).all()
    assert round(plain["answers_per_second"] * plain["seconds"]) == answers
    return scored, generated, metrics


def test_evaluation(report):
    sizes = ["--authors", 10, "--hidden", 32, "--layers", 1, "--vocab", 3000, "--limit", 2, "--max-new-tokens", 3]
    status, result = report(evaluation, *sizes)
    problem = evaluation.Problem(None, None, 2, 10, 32, 1, 3000, 3, 4096, "float32", CPU)
    data = problem.load_data()
    model, encoder = problem.load(data)
    assert model.config.vocab_size == 3000
    sets = by_set(problem.probes(data))
    assert {name: len(own) for name, own in sets.items()} == dict.fromkeys(
        ["forget", "retain", "real_authors", "world_facts"], 2
    )
    questions = problem.sequences(data, encoder)
    scored, generated, metrics = check_evaluation(status, result, sum(map(len, questions)))
    prompts = sum(len(answers[0][0]) for answers in questions)
    tokens = sum(len(answer) for answers in questions for _, answer in answers)
    assert scored["least"] == prompts + tokens - sum(map(len, questions))
    assert metrics["tokens"] == tokens
    assert generated["least"] == prompts + 2 * len(questions)  # the last of three tokens is not fed


def test_evaluation_of_a_model_folder(report, tiny, tmp_path):
    models.save(*tiny, tmp_path / "model")
    status, result = report(
        evaluation, "--model", tmp_path / "model", "--authors", 10, "--limit", 1, "--max-new-tokens", 2
    )
    first = result["rows"][0]
    check_evaluation(status, result, round(first["answers_per_second"] * first["seconds"]))
    assert result["provenance"]["config"]["model"] == str(tmp_path / "model")


def test_evaluation_names_wrong_folders(capsys, tmp_path):
    for arguments in (["--data", str(tmp_path)], ["--model", str(tmp_path / "none")]):
        with pytest.raises(SystemExit):
            evaluation.main(arguments, isolated=False)
    errors = capsys.readouterr().err
    assert "--data needs --model" in errors
    assert "is not a folder" in errors


@pytest.mark.real
def test_evaluation_of_tofu(report, data, tmp_path):
    if not TOFU.is_dir():
        pytest.skip(f"TOFU is not at {TOFU}; set LETHE_SHARED")
    config = ScratchConfig(source="scratch", hidden_size=32, layers=1, heads=2, context=1024)
    model = models.scratch(config, list(data.world), PromptConfig(max_length=1024), seed=0)
    models.save(*model, tmp_path / "model")
    sizes = ["--limit", 2, "--max-new-tokens", 2]
    status, result = report(evaluation, "--model", tmp_path / "model", "--data", TOFU, *sizes)
    # forget and retain rows have a paraphrase and five false answers, the utility sets three false ones
    check_evaluation(status, result, 2 * (7 + 7 + 4 + 4))
