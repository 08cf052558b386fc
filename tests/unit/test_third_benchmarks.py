"""Benchmarks of other shapes go through the whole of Lethe with one file each: free text, and multiple choice."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.choices import Choices
from benchmarks.free_text import FreeText
from benchmarks.register import register
from lethe.benchmarks import BENCHMARKS, prepare
from lethe.benchmarks.prepared import read_data, write_data
from lethe.config import EvaluateConfig, GoldLabels, MeasureConfig, MethodConfig, TrainingConfig
from lethe.evaluation.check import check, markdown
from lethe.evaluation.evaluate import evaluate
from lethe.evaluation.measure import measure
from lethe.evaluation.runs import run_row
from lethe.evaluation.sets import asked, by_set, thinned
from lethe.evaluation.trajectory import trajectory
from lethe.figures import tradeoff
from lethe.selection import RULES, select
from lethe.tables.main import layout, main_table, with_best
from lethe.tables.render import markdown as table_of
from lethe.tables.searches import layout as search_layout
from lethe.tables.significance import headed, sample_table, seed_table
from lethe.tokens.annotate import annotate
from lethe.tokens.score import score_table
from lethe.tokens.tokenise import token_table
from lethe.training.loop import FineTuning, train
from lethe.training.unlearn import Unlearning

SOURCE = Path(__file__).resolve().parents[2] / "src"
PROVENANCE = {"config_sha256": "ab", "commit": "cafe", "lethe_version": "1"}
CONFIG = EvaluateConfig()
MEASURE = MeasureConfig(max_new_tokens=4)
SHAPES = {"free_text": (FreeText(), ["news", "books"]), "choices": (Choices(), ["odd", "even"])}


def perturbed(model, seed):
    """The model with noise on its weights: it must differ, not know anything."""
    other = copy.deepcopy(model)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.3 * parameter.std() * torch.randn_like(parameter))
    return other


@pytest.fixture(scope="module", params=SHAPES)
def study(request, sharp, encoder, tmp_path_factory):
    """Benchmark, split, data, probes, measured tables by run, per-sample tables, table of runs."""
    benchmark, splits = SHAPES[request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BENCHMARKS, benchmark.name, benchmark)
        path = tmp_path_factory.mktemp(benchmark.name) / "data.json"
        data = prepare(benchmark.section(name=benchmark.name), 0, splits)
        write_data(path, data)
        assert read_data(path) == data
        probes = asked(data, splits[:1], splits, {next(iter(benchmark.sets)): 3})
    runs = [*benchmark.references, "GA/seed0", "GA/seed1", "ETW/seed0", "ETW/seed1"]
    models = {who: sharp if who == "full" else perturbed(sharp, seed) for seed, who in enumerate(runs)}
    measured = {who: measure(model, encoder, probes, MEASURE, 700, None)[:2] for who, model in models.items()}
    tables, summaries = evaluate(benchmark, measured, probes, CONFIG)
    table = pd.DataFrame([run_row("tiny", splits[0], who, summary) for who, summary in summaries.items()])
    return benchmark, splits[0], data, probes, measured, tables, table.astype({"seed": "Int64"})


def test_limits_and_sets_are_the_benchmarks(study):
    benchmark, split, data, probes, *_ = study
    own, shared = by_set(probes).values()
    assert len(own) == 3
    assert [probe.id for probe in shared] == list(data.splits[split].probes[shared[0].set])
    assert list(by_set(probes)) == list(benchmark.sets)


def test_rows_become_tokens(study, encoder):
    _, split, data, *_ = study
    rows = data.forget(split)
    table = token_table(encoder, rows)
    assert set(table["sample"]) == {row.id for row in rows}
    for row in rows:
        text = "".join(table.loc[table["sample"] == row.id, "text"])
        if row.prompt is None:  # the first token has no context, so it bears no loss
            assert row.answer.endswith(text)
            assert 0 < len(row.answer) - len(text) < 6
        else:
            assert text == row.answer
    assert table.groupby("sample")["eos"].sum().eq(1).all()


def test_rows_are_trained_on(study, sharp, encoder):
    """Fine-tuning makes them likelier, ascent less likely; labels and weights are those of their tokens."""
    _, split, data, *_ = study
    rows = data.forget(split)
    table = annotate(token_table(encoder, rows), data, {"gold": GoldLabels(source="gold")})
    table = score_table(sharp, encoder, rows, table, [1.0], None)
    assert table["informative_gold"].any()
    settings = TrainingConfig(epochs=4, batch_size=2, learning_rate=3e-3, warmup_epochs=0.0)
    examples = encoder.examples(data.fine_tuning(split, rehearse=False))
    log = train(copy.deepcopy(sharp), FineTuning(examples), len(examples), settings, 0, 0)
    assert log["loss"].iloc[-1] < log["loss"].iloc[0]
    method = MethodConfig(weighting="spans", objective="ascent", retain="nll")
    task = Unlearning(
        method, encoder.examples(rows), encoder.examples(data.retain(split)), table, 0, sharp.config.hidden_size
    )
    model = copy.deepcopy(sharp)
    train(model, task, len(task.forget), settings, 0, 0)
    after = score_table(model, encoder, rows, table.drop(columns=["logprob", "entropy_T1.0"]), [1.0], None)
    informative = table["informative_gold"].astype(bool)
    assert after.loc[informative, "logprob"].mean() < table.loc[informative, "logprob"].mean()


def test_every_metric_of_every_run(study):
    benchmark, *_, tables, runs = study
    assert list(runs.columns) == ["model", "split", "method", "seed", *benchmark.metrics]
    for name in benchmark.metrics:
        undefined = name == "privleak"  # there is no retain model to relate to
        assert runs[name].isna().all() == undefined, name
    assert runs.loc[runs["method"] == "full", benchmark.headline.loss].tolist() == [0.0]
    assert all(len(table) == table[["set", "sample"]].drop_duplicates().shape[0] for table in tables.values())


def test_the_likeliest_option_is_chosen(study):
    benchmark, _, _, probes, measured, tables, _ = study
    if benchmark.name != "choices":
        pytest.skip("no options")
    tokens = measured["full"][0].groupby(["set", "sample", "index"])["logprob"].sum()
    for row in tables["full"].itertuples():
        (probe,) = [probe for probe in probes if (probe.set, probe.id) == (row.set, row.sample)]
        assert row.right == (tokens[row.set, row.sample].to_numpy().argmax() == probe.target)


def test_without_a_retain_model_the_reason_is_given(study):
    benchmark, _, _, probes, measured, *_ = study
    _, summaries = evaluate(benchmark, measured, probes, CONFIG)
    table = check(pd.DataFrame([run_row("tiny", "s", who, summary) for who, summary in summaries.items()]), benchmark)
    text = markdown(table)
    if benchmark.has_retain_models:
        assert table["unknown"].notna().all()
        return
    assert summaries["GA/seed0"]["privleak"].reason == "the benchmark has no retain model to compare with"
    assert table[["unknown", "separated"]].isna().all(axis=None)
    assert table["known"].notna().all()
    assert "–: cannot be checked" in text


def test_tables_figure_and_selection(study, fits_page):
    benchmark, _, data, _, _, tables, runs = study
    main = with_best(main_table(runs, [*benchmark.main, *benchmark.also]), benchmark)
    page = table_of(main, layout(benchmark), PROVENANCE)
    assert all(benchmark.metrics[name].title(name) in page for name in benchmark.main)
    points = runs[runs["method"] == "GA"].assign(point=["a", "b"], chosen=[True, False])
    figure = tradeoff.draw(runs, ["GA", "ETW"], points, benchmark=benchmark)
    fits_page(figure)
    headline = benchmark.headline
    assert figure.get_supxlabel() == benchmark.metrics[headline.utility].label(headline.utility)
    for rule in RULES:
        point, why = select(points, rule, benchmark)
        best = points.sort_values(headline.forgetting)["point"].iloc[0]
        assert "{" not in why
        if rule in ("lowest_aggregate", "lowest_neg_log10_fq"):
            assert point == best
        assert set(search_layout(rule, 1, [0], benchmark).columns) >= set(benchmark.main)
    assert set(seed_table(runs, "ETW", benchmark)["metric"]) == set(benchmark.by_seed)
    samples = pd.concat([table.assign(run=who) for who, table in tables.items()])
    groups = {probe.id: probe.group for probe in data.probes if probe.set == headline.probes}
    by_sample = headed(sample_table(samples, groups, "ETW", benchmark, 10), benchmark)
    assert by_sample["other"].tolist() == ["GA"]
    assert by_sample["samples"].tolist() == [3]


def test_trajectories(study):
    benchmark, split, _, probes, measured, *_ = study
    runs = {"GA/seed0": tuple(table.assign(epoch=np.int32(1)) for table in measured["GA/seed0"])}
    references = {who: measured[who] for who in benchmark.references}
    fewer = thinned(probes, {next(iter(benchmark.sets)): 2})
    table = trajectory(benchmark, "tiny", split, runs, references, fewer, CONFIG)
    assert table["epoch"].tolist() == [pd.NA] * len(references) + [0, 1]


CHECK = """
import json, sys
from lethe.config import load
from lethe.errors import ConfigError
raw = json.loads(sys.argv[1])
study = load(raw)
print(study.has_retain_models, [study.task.retain_name(split) for split in study.splits])
for change in json.loads(sys.argv[2]):
    try:
        load({**raw, **change})
    except ConfigError as error:
        print(error)
"""


def test_a_file_and_a_line_in_the_registry_are_all(tmp_path):
    """In a copy of the package; the config knows the benchmark's section, splits and limits."""
    shutil.copytree(SOURCE, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    register(tmp_path / "src", "free_text", "FreeText")
    raw = {
        "study": "third",
        "benchmark": {"name": "free_text", "sentences": 8},
        "splits": ["news"],
        "models": {"m": {"source": "scratch"}},
        "methods": {"GA": {"weighting": "uniform", "objective": "ascent", "retain": "none"}},
        "measure": {"limits": {"verbatim": 2}},
    }
    changes = [
        {"splits": ["forget10"]},
        {"measure": {"limits": {"forget": 2}}},
        {"benchmark": {"name": "free_text", "sentences": 1}},
    ]
    done = subprocess.run(
        [sys.executable, "-c", CHECK, json.dumps(raw), json.dumps(changes)],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("False [None]\n"), done.stderr
    assert "splits.0: 'forget10' is no split of the benchmark 'free_text'; names are like news" in done.stdout
    assert "limits.forget: unknown key" in done.stdout
    assert "(known: verbatim, kept)" in done.stdout
    assert "benchmark.sentences: Input should be greater than or equal to 4" in done.stdout
