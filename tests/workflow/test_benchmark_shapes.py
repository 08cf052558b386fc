"""Benchmarks of other shapes go through the whole DAG: one file each and a line in the registry, nothing else.

Free text without a retain model, and multiple choice; see `tests/benchmarks`.
"""

import pandas as pd
import pytest
import yaml

from benchmarks.register import register

pytestmark = pytest.mark.workflow

STUDY = """
study: third
models:
  nano:
    source: scratch
    hidden_size: 32
    layers: 2
    heads: 2
    vocabulary: 300
    rehearse: false
    training: {epochs: 1, batch_size: 8, learning_rate: 1.0e-3}
finetune: {epochs: 15, batch_size: 4, learning_rate: 5.0e-3}
unlearn: {epochs: 2, batch_size: 2, learning_rate: 1.0e-3}
methods:
  GA: {weighting: uniform, objective: ascent, retain: none}
  ETW: {weighting: entropy, objective: ascent, retain: nll, sweep: {strength: [0.5, 1.0]}}
measure: {max_new_tokens: 4}
figures: {bootstrap: 5}
"""
CASES = {
    "free_text": ("FreeText", {"name": "free_text"}, "news"),
    "choices": ("Choices", {"name": "choices"}, "odd"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_third_benchmark_comes_to_the_main_table_and_the_trade_off(name, fresh):
    kind, section, split = CASES[name]
    register(fresh.source, name, kind)
    fresh.config = yaml.safe_load(STUDY) | {"benchmark": section, "splits": [split]}
    wanted = ["main/main.csv", "tradeoff/tradeoff.svg", "check/check.md", "searches/searches.csv"]
    fresh.run("--", *(f"results/third/{file}" for file in wanted))
    results = fresh.folder / "results" / "third"
    main = pd.read_csv(results / "main/main.csv")
    runs = pd.read_csv(results / "main/runs.csv").set_index("method")
    references = {"free_text": ["full"], "choices": ["full", "retain"]}[name]
    assert main["method"].tolist() == runs.index.tolist() == [*references, "GA", "ETW"]
    assert (results / "tradeoff/tradeoff.svg").stat().st_size > 5000
    samples = pd.read_parquet(results / f"evaluate/nano/{split}/samples.parquet")
    assert set(samples["run"]) == {*references, "GA/seed0", "ETW/seed0"}
    # What is measured on a run is of that run: ascent moves away from where it starts.
    full = pd.read_parquet(results / "measure/nano/full/tokens.parquet")
    run = pd.read_parquet(results / f"unlearn/nano/{split}/GA/seed0/tokens.parquet")
    forgotten = {"free_text": "verbatim", "choices": "hazard"}[name]
    assert (full["set"] == forgotten).any()
    mean = [table.loc[table["set"] == forgotten, "logprob"].mean() for table in (full, run)]
    assert mean[0] != mean[1]
