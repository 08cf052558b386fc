"""Scores and scales: each scale against numpy, short hands against what they are short for, and their config."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from lethe import config
from lethe.analysis.curves import why_not
from lethe.config import MethodConfig
from lethe.errors import ConfigError, InputError
from lethe.methods.contract import Scale, TokenBatch
from lethe.methods.forms import Variance
from lethe.tables.etw_tab_forms import form_of
from lethe.tables.information import information_table
from lethe.tables.render import escape_latex
from lethe.tokens.weigh import weights_at_start
from lethe.weightings import SCALES, SCORES, WEIGHTINGS, Scored
from lethe.weightings.raw_entropy import RawEntropy
from lethe.weightings.scales.normalised import Normalised
from lethe.weightings.scales.power import Power
from lethe.weightings.scales.raw import Raw
from lethe.weightings.scales.softmax import Softmax
from lethe.weightings.scales.top import Top
from lethe.weightings.scales.top_of_table import TopOfTable
from lethe.weightings.scores.column import TableColumn
from lethe.weightings.scores.surprisal import Surprisal

LENGTHS = (8, 1, 30, 3)
SEQUENCE = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
N = len(SEQUENCE)


def values(seed=0) -> np.ndarray:
    """Scores ≥ 0 with zeros and ties; those of the last sequence are all 0."""
    scores = np.random.default_rng(seed).integers(0, 6, N) / 4
    scores[-3:] = 0
    return scores


def batch() -> TokenBatch:
    generator = torch.Generator().manual_seed(0)
    logprob = -torch.rand(N, generator=generator) * 5
    return TokenBatch(
        sequence=torch.from_numpy(SEQUENCE),
        n_sequences=len(LENGTHS),
        logprob=logprob,
        entropy={1.0: torch.rand(N, generator=generator)},
        forms={Variance(): torch.rand(N, generator=generator)},
        reference_logprob=logprob - 0.3,
        static=torch.rand(N, generator=generator),
    )


def scaled(scale: Scale, scores=None) -> np.ndarray:
    scores = values() if scores is None else scores
    return scale.weights(torch.tensor(scores, dtype=torch.float32), batch()).double().numpy()


def by_sequence(formula, scores=None) -> np.ndarray:
    scores = values() if scores is None else scores
    return np.concatenate([formula(scores[i == SEQUENCE]) for i in range(len(LENGTHS))])


# --- scales -------------------------------------------------------------------------------------------------


def test_raw_is_the_score():
    np.testing.assert_array_equal(scaled(Raw()), values())


@pytest.mark.parametrize(("scale", "exponent"), [(Normalised(), 1), (Power(), 1), (Power(exponent=2.5), 2.5)])
def test_normalised_and_power(scale, exponent):
    expected = by_sequence(lambda f: len(f) * f**exponent / (f**exponent).sum() if f.any() else np.ones(len(f)))
    np.testing.assert_allclose(scaled(scale), expected, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 3.0])
def test_softmax(temperature):
    expected = by_sequence(lambda f: len(f) * np.exp(f / temperature) / np.exp(f / temperature).sum())
    np.testing.assert_allclose(scaled(Softmax(temperature=temperature)), expected, rtol=1e-4)


def test_softmax_at_its_ends():
    np.testing.assert_allclose(scaled(Softmax(temperature=1e6)), 1, rtol=1e-5)
    scores = np.arange(N) * 1e4  # exp of it is beyond fp64
    expected = by_sequence(lambda f: len(f) * (f == f.max()), scores)
    np.testing.assert_array_equal(scaled(Softmax(temperature=1e-2), scores), expected)
    np.testing.assert_allclose(scaled(Softmax(), -scores - 1e6).sum(), N)  # a shift changes nothing


def chosen_by_hand(scores: np.ndarray, share: float) -> np.ndarray:
    """Greatest first, of equals the earlier; n / k each."""
    k = max(1, math.ceil(round(share * len(scores), 9)))
    first = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]
    return np.array([len(scores) / k if i in first else 0.0 for i in range(len(scores))])


@pytest.mark.parametrize("share", [1e-4, 0.07, 0.1, 0.25, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_top(share, seed):
    scores = values(seed)
    expected = by_sequence(lambda f: chosen_by_hand(f, share), scores)
    np.testing.assert_allclose(scaled(Top(share=share), scores), expected, rtol=1e-6)


def test_all_of_the_tokens_are_gradient_ascent():
    assert (scaled(Top(share=1.0)) == 1).all()


def test_rounding_chooses_no_further_token():
    assert 0.07 * 100 > 7
    scale, scores = Top(share=0.07), torch.arange(100.0)
    one = TokenBatch(torch.zeros(100, dtype=torch.long), 1, -scores)
    assert (scale.weights(scores, one) > 0).sum() == 7


def test_top_ranks_unlikely_tokens_of_the_table_as_training_does():
    """1 − p of both is 1 in fp32, and in training the first is taken; fp64 can tell them apart."""
    logprob = np.array([-20.0, -30.0, -0.1])
    table = pd.DataFrame({"sample": "a", "position": range(3), "logprob": logprob})
    weighting = Scored(score="importance", scale={"top": {"share": 0.3}})
    now = TokenBatch(torch.zeros(3, dtype=torch.long), 1, torch.tensor(logprob, dtype=torch.float32))
    assert weights_at_start(weighting, table, 0).tolist() == weighting.weights(now).tolist() == [3, 0, 0]


def test_weights_at_start_break_ties_by_position_in_any_order_of_rows():
    table = pd.DataFrame({"sample": list("aaaabbb"), "position": [0, 1, 2, 3, 0, 1, 2], "logprob": -1.0})
    expected = [2.0, 2.0, 0, 0, 1.5, 1.5, 0]
    weighting = Scored(score="surprisal", scale={"top": {"share": 0.5}})
    mixed = table.assign(expected=expected).sample(frac=1, random_state=1)
    np.testing.assert_array_equal(weights_at_start(weighting, mixed, 0), mixed["expected"])
    assert mixed["sample"].tolist() != sorted(mixed["sample"])


def test_top_of_table_is_one_threshold_for_all_samples():
    table = pd.DataFrame({"sample": list("bbbaaa"), "position": [0, 1, 2] * 2, "entity": [0, 1, 1, 1, 0, 0]})
    weighting = Scored(score={"column": {"name": "entity"}}, scale={"top_of_table": {"share": 0.3}})
    weights = weights_at_start(weighting, table.assign(logprob=-1.0), 0)
    assert weights.tolist() == [0, 3, 0, 3, 0, 0]  # sample a comes first among equals
    everything = TopOfTable(share=1.0).column(values(), pd.DataFrame({"sample": SEQUENCE, "position": np.arange(N)}))
    assert (everything == 1).all()


@pytest.mark.parametrize("scale", SCALES)
def test_weights_carry_the_gradient_of_a_learned_score(scale):
    """A hard choice has none; all others must hand it on."""
    scores = torch.tensor(values() + 0.1, dtype=torch.float32).requires_grad_()
    weights = SCALES[scale]().weights(scores, batch())
    assert weights.dtype == torch.float32
    assert weights.requires_grad == (scale != "top")
    if weights.requires_grad:
        (weights * torch.arange(N)).sum().backward()
        assert scores.grad.isfinite().all()
        assert scores.grad.any()


# --- scores -------------------------------------------------------------------------------------------------


def test_surprisal_is_the_loss_of_the_token():
    now = TokenBatch(torch.zeros(3, dtype=torch.long), 1, torch.tensor([-2.0, 0.0, 1e-7]))
    assert Surprisal().weights(now).tolist() == [2, 0, 0]


def test_a_column_is_taken_as_it_is():
    table = pd.DataFrame({"sample": "a", "entity": [True, False], "mutual_information": [0.25, -1e-9]})
    assert TableColumn(name="entity").column(table, 0).tolist() == [1, 0]
    assert TableColumn(name="mutual_information").column(table, 0).tolist() == [0.25, 0]
    assert TableColumn(name="mutual_information").columns() == ("mutual_information",)
    labels = table.assign(informative_gpt=pd.array([True, pd.NA], dtype="boolean"))
    with pytest.raises(InputError, match="'informative_gpt' says nothing about sample a"):
        TableColumn(name="informative_gpt").column(labels, 0)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("informative_gold", "ground truth"),
        ("noun_chunk", "parser"),
        ("entropy_T2.0", "predictive distribution"),
        ("top_k_entropy_k5_T1.0", "predictive distribution"),
    ],
)
def test_a_column_says_what_it_is_made_from(name, source):
    assert TableColumn(name=name).information == (source,)


@pytest.mark.parametrize("name", ["logprob", "pos", "entropi_T1.0", ""])
def test_other_columns_are_no_scores(name):
    with pytest.raises(ValidationError, match="unknown column"):
        TableColumn(name=name)


# --- short hands and what is written out --------------------------------------------------------------------

FORM = {"form": "variance"}
SHORT = {
    "uniform": ("uniform", "raw"),
    "confidence": ({"confidence": {"exponent": 2.0}}, "raw"),
    "tnpo": ("tnpo", "raw"),
    "wtnpo": ("wtnpo", "raw"),
    "importance": ("importance", "raw"),
    "satimp": ("satimp", "raw"),
    "entropy": ("entropy", "normalised"),
    "raw_entropy": ("entropy", "raw"),
    "spread": ({"spread": FORM}, "normalised"),
    "raw_spread": ({"spread": FORM}, "raw"),
}
OWN = {"confidence": {"exponent": 2.0}, "spread": FORM, "raw_spread": FORM}


@pytest.mark.parametrize("name", SHORT)
def test_a_name_is_short_for_a_score_and_a_scale(name):
    score, scale = SHORT[name]
    long, short = Scored(score=score, scale=scale), WEIGHTINGS[name](**OWN.get(name, {}))
    assert torch.equal(long.weights(batch()), short.weights(batch()))
    for what in ("information", "reference"):
        assert getattr(long, what) == getattr(short, what)
    assert (long.temperatures(), long.forms(), long.columns()) == (
        short.temperatures(),
        short.forms(),
        short.columns(),
    )
    assert form_of(long) == form_of(short)
    assert why_not(long, [1.0]) == why_not(short, [1.0])


def test_mutual_information_is_short_for_its_column():
    table = pd.DataFrame(
        {"sample": SEQUENCE, "position": np.arange(N), "logprob": -1.0, "mutual_information": values()}
    )
    long = Scored(score={"column": {"name": "mutual_information"}}, scale="normalised")
    short = WEIGHTINGS["mutual_information"]()
    np.testing.assert_allclose(weights_at_start(long, table, 0), weights_at_start(short, table, 0), rtol=1e-12)
    assert form_of(long) == form_of(short)
    assert long.information == short.information


def method(weighting, **more) -> MethodConfig:
    return MethodConfig(weighting=weighting, objective="ascent", retain="none", **more)


HARD = {"score": {"entropy": {"temperature": 2}}, "scale": {"top": {"share": 0.5}}}


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("scale", SCALES)
def test_every_score_goes_with_every_scale(score, scale):
    own = {"spread": FORM, "column": {"name": "entity"}}.get(score, {})
    if scale == "top_of_table" and score != "column":
        with pytest.raises(ValidationError, match="whole split"):
            method({"score": {score: own}, "scale": scale})
        return
    weighting = method({"score": {score: own}, "scale": scale}).weighting
    weights = weighting.weights(batch())
    assert weights.isfinite().all()
    assert (weights >= 0).all()
    assert weights.shape == (N,)
    (row,) = information_table({"A": method(weighting)}).to_dict("records")
    assert row["weighting"] == f"{score}, {scale}"
    assert row["formula"].startswith("ω = ")
    assert "; S = " in row["formula"]
    assert escape_latex(row["formula"]).isascii()


def test_written_out_in_the_config_round_trips():
    chosen = method(HARD)
    assert chosen.weighting == Scored(score=RawEntropy(temperature=2.0), scale=Top(share=0.5))
    dumped = chosen.model_dump(mode="json")
    assert dumped["weighting"] == {"score": {"entropy": {"temperature": 2.0}}, "scale": {"top": {"share": 0.5}}}
    assert MethodConfig(**json.loads(json.dumps(dumped))) == chosen
    assert method({"scale": "raw", "score": "uniform"}).model_dump(mode="json")["weighting"] == {
        "score": {"uniform": {}},
        "scale": {"raw": {}},
    }


def test_both_parts_can_be_swept():
    sweep = {"weighting.score.temperature": [1.0, 3.0], "weighting.scale.share": [0.2]}
    points = method(HARD, sweep=sweep).points()
    assert {name: (p.weighting.score.temperature, p.weighting.scale.share) for name, p in points.items()} == {
        "temperature=1.0,share=0.2": (1.0, 0.2),
        "temperature=3.0,share=0.2": (3.0, 0.2),
    }
    points = method(HARD, sweep={"weighting.scale": ["raw", "softmax"]}).points()
    assert [p.weighting.scale for p in points.values()] == [Raw(), Softmax()]
    spread = {"score": {"spread": FORM}, "scale": "raw"}
    (point,) = method(spread, sweep={"weighting.score.form.temperature": [3.0]}).points().values()
    assert point.weighting.forms() == (Variance(temperature=3.0),)


def study(weighting, **more):
    return config.load(
        {
            "study": "scored",
            "benchmark": {"name": "fictional"},
            "models": {"m": {"source": "scratch"}},
            "methods": {"A": {"weighting": weighting, "objective": "ascent", "retain": "none", **more}},
        }
    )


def test_a_study_stores_what_scores_need():
    assert study(HARD).all_temperatures() == [1.0, 2.0]
    assert study(HARD, sweep={"weighting.score.temperature": [4.0]}).all_temperatures() == [1.0, 2.0, 4.0][::2]
    assert study({"score": {"spread": FORM}, "scale": "top"}).all_forms() == [Variance()]


@pytest.mark.parametrize(
    ("weighting", "parts"),
    [
        ({"score": "entropy"}, [".scale: missing; add it"]),
        ({"scale": "raw"}, [".score: missing; add it"]),
        ({"score": "entropi", "scale": "raw"}, [".score: unknown score 'entropi'", "did you mean 'entropy'?"]),
        ({"score": "entropy", "scale": "tops"}, [".scale: unknown scale 'tops'", "did you mean 'top'?"]),
        ({"score": "entropy", "scale": "raw", "sclae": 1}, [".sclae: unknown key", "known: score, scale"]),
        ({"score": {"entropy": {"temprature": 1}}, "scale": "raw"}, [".score.entropy.temprature: unknown key"]),
        ({"score": "entropy", "scale": {"top": {"share": 0}}}, [".scale.top.share: ", "greater than 0", "found 0"]),
        ({"score": "spread", "scale": "raw"}, [".score.spread.form: missing; add it"]),
        ({"score": {"spread": {"form": {"margin": {"k": 1}}}}, "scale": "raw"}, [".score.spread.form.margin.k: "]),
        ({"score": {"column": {"name": "pos"}}, "scale": "raw"}, [".score.column.name: unknown column"]),
        ({"score": {"column": {"name": "informative_gpt"}}, "scale": "raw"}, [": label source 'gpt' is not in"]),
        ({"score": {"column": {"name": "entropy_T7.0"}}, "scale": "raw"}, [": column 'entropy_T7.0'", "temperatures"]),
        ({"score": {"column": {"name": "margin_T1.0"}}, "scale": "raw"}, [": column 'margin_T1.0'", "`forms`"]),
        ({"score": "entropy", "scale": "top_of_table"}, [": the scale ranks the tokens of the whole split", "`top`"]),
        ({"score": [1], "scale": "raw"}, [".score: write the score as a name, or as {name:"]),
        ([1], [": write the weighting as a name, or as {name:", "or as {score: …, scale: …}"]),
    ],
)
def test_errors_name_key_and_fix(weighting, parts):
    with pytest.raises(ConfigError) as caught:
        study(weighting)
    for part in parts:
        assert f"methods.A.weighting{part}" in str(caught.value) if part[0] in ".:" else part in str(caught.value)


def test_columns_that_the_study_stores_are_fine():
    assert study({"score": {"column": {"name": "entropy_T1.0"}}, "scale": "top"})


def test_short_and_long_stand_in_the_schema():
    definitions = json.loads(config.json_schema())["$defs"]
    short, named, long = definitions["MethodConfig"]["properties"]["weighting"]["anyOf"]
    assert short["enum"] == list(named["properties"]) == list(WEIGHTINGS)
    assert set(long["properties"]) == set(long["required"]) == {"score", "scale"}
    assert long["properties"]["scale"]["anyOf"][0]["enum"] == list(SCALES)


def test_a_scale_without_weights_says_so():
    with pytest.raises(NotImplementedError, match="Scale defines no weights"):
        Scale().weights(torch.ones(1), batch())
