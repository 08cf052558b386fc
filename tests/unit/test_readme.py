"""The README is short, and its examples work as they stand there: a config and a new weighting."""

import re
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from lethe import weightings
from lethe.config import load
from lethe.tokens.score import score_table
from lethe.tokens.tokenise import token_table
from lethe.tokens.weigh import weights_at_start
from lethe.training.loop import train
from lethe.training.unlearn import Unlearning

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.fixture
def method(monkeypatch):
    (code,) = [b for b in re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S) if "Weighting" in b]
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    names: dict = {}
    exec(code, names)
    monkeypatch.setitem(weightings.WEIGHTINGS, "surprisal", names["Surprisal"])
    study = load(
        {
            "study": "readme",
            "benchmark": {"name": "fictional"},
            "models": {"m": {"source": "scratch"}},
            "unlearn": {"epochs": 1, "batch_size": 4},
            "methods": {"New": {"weighting": {"surprisal": {"power": 2}}, "objective": "ascent", "retain": "nll"}},
        }
    )
    return study


def test_weighting_of_the_readme_works_end_to_end(method, data, tiny, encoder):
    model, _ = tiny
    rows = data.forget("forget10")
    table = score_table(model, encoder, rows, token_table(encoder, rows), [1.0], None)
    weights = pd.Series(weights_at_start(method.methods["New"].weighting, table, 0))
    squares = table["logprob"] ** 2
    by_sample = squares.groupby(table["sample"])
    expected = squares * by_sample.transform("size") / by_sample.transform("sum")
    torch.testing.assert_close(
        torch.tensor(weights.to_numpy()), torch.tensor(expected.to_numpy()).double(), rtol=1e-4, atol=1e-6
    )
    task = Unlearning(
        method.methods["New"],
        encoder.examples(rows),
        encoder.examples(data.retain("forget10")),
        table,
        0,
        model.config.hidden_size,
    )
    import copy

    log = train(copy.deepcopy(model), task, len(rows), method.training_of(method.methods["New"]), 0, gpus=0)
    assert log["weight_mean"].iloc[0] == pytest.approx(1.0)


def test_readme_is_short_and_finished():
    text = README.read_text(encoding="utf-8")
    assert len(text.split()) <= 1200
    assert "@@" not in text


def test_config_of_the_readme_is_valid_and_says_what_each_line_does():
    (text,) = [b for b in re.findall(r"```yaml\n(.*?)```", README.read_text(), flags=re.S) if b.startswith("study:")]
    study = load(yaml.safe_load(text))
    assert study.swept() == ["ETW"]
    assert study.compare == "ETW"
    top = [line for line in text.splitlines() if re.match(r"\w", line)]
    assert {line.split(":")[0] for line in top} == study.model_fields_set
    assert all("#" in line for line in top)
