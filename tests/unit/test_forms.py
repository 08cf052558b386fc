"""Functional forms against float64 formulas (docs/choices.md), the weighting made of them, and their config."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from lethe import config
from lethe.config import MethodConfig
from lethe.errors import ConfigError
from lethe.methods.contract import TokenBatch
from lethe.methods.forms import (
    FORMS,
    CollisionEntropy,
    Form,
    Margin,
    NormalisedEntropy,
    TopKEntropy,
    Varentropy,
    Variance,
)
from lethe.weightings.entropy import Entropy
from lethe.weightings.raw_entropy import RawEntropy
from lethe.weightings.raw_spread import RawSpread
from lethe.weightings.spread import Spread

WORDS = 40
ROWS = 60
TEMPERATURES = (0.5, 1.0, 3.0)
KS = (2, 5, 10, WORDS - 1, WORDS, WORDS + 60)


def logits(seed=0) -> torch.Tensor:
    """[60, 40] fp32, from flat to confident predictions (largest p 0.04 to 1 − 1e-12)."""
    generator = torch.Generator().manual_seed(seed)
    flat = torch.randn(ROWS, WORDS, generator=generator)
    flat *= torch.linspace(0.05, 10, ROWS)[:, None]
    return flat


def probabilities(temperature: float) -> np.ndarray:
    """[60, 40] float64, sorted from the likeliest word."""
    z = logits().double().numpy() / temperature
    p = np.exp(z - z.max(-1, keepdims=True))
    return -np.sort(-p / p.sum(-1, keepdims=True), axis=-1)


def entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(p)).sum(-1)


def top_k(p: np.ndarray, k: int) -> np.ndarray:
    kept = p[:, :k]
    return entropy(kept / kept.sum(-1, keepdims=True))


def covariance_trace(p: np.ndarray) -> np.ndarray:
    """Trace of the covariance matrix of the one-hot vector drawn from p, built in full."""
    return np.array([np.trace(np.diag(row) - np.outer(row, row)) for row in p])


FORMULAS = [
    (NormalisedEntropy, {}, lambda p: entropy(p) / math.log(WORDS)),
    *((TopKEntropy, {"k": k}, lambda p, k=k: top_k(p, k)) for k in KS),
    (Variance, {}, covariance_trace),
    (CollisionEntropy, {}, lambda p: -np.log((p**2).sum(-1))),
    (Margin, {}, lambda p: 1 - (p[:, 0] - p[:, 1])),
    (Varentropy, {}, lambda p: (p * np.log(p) ** 2).sum(-1) - entropy(p) ** 2),
]
IDS = [form.prefix + "".join(f"-{v}" for v in own.values()) for form, own, _ in FORMULAS]


def test_every_form_has_a_formula_here():
    assert {form for form, *_ in FORMULAS} == set(FORMS.values())


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize(("form", "own", "formula"), FORMULAS, ids=IDS)
def test_form_equals_its_formula_in_float64(form, own, formula, temperature):
    found = form(temperature=temperature, **own).of(logits())
    expected = formula(probabilities(temperature))
    assert found.shape == (ROWS,)
    np.testing.assert_allclose(found.double().numpy(), expected, rtol=2e-6, atol=1e-6)
    assert np.ptp(expected) > 0.5  # neither all flat nor all certain


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (NormalisedEntropy(), 0.9002561 / math.log(3)),
        (TopKEntropy(k=2), 0.5982696),  # of (5/7, 2/7)
        (Variance(), 34 / 64),  # 1 − (1 + 4 + 25)/64
        (CollisionEntropy(), math.log(64 / 30)),
        (Margin(), 5 / 8),
        (Varentropy(), 1.1590273 - 0.9002561**2),  # E[(ln p)²] − H²
    ],
    ids=lambda x: x.prefix if isinstance(x, Form) else None,
)
def test_hand_computed_values(form, value):
    # p = 1/8, 2/8, 5/8
    found = form.of(torch.tensor([[1.0, 2.0, 5.0]]).log())
    assert found.item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("gap", [200.0, 1e4, 1e8])
@pytest.mark.parametrize("form", FORMS.values())
def test_a_certain_prediction_has_none(form, gap):
    certain = torch.full((2, WORDS), -gap)
    certain[0, 3] = certain[1, WORDS - 1] = 0.0
    assert form().of(certain).tolist() == [0.0, 0.0]


def test_flat_predictions():
    flat = torch.zeros(1, WORDS)
    expected = {
        NormalisedEntropy(): 1.0,
        TopKEntropy(k=10): math.log(10),
        Variance(): 1 - 1 / WORDS,
        CollisionEntropy(): math.log(WORDS),
        Margin(): 1.0,
        Varentropy(): 0.0,  # every word is equally surprising
    }
    assert {type(form) for form in expected} == set(FORMS.values())
    for form, value in expected.items():
        assert form.of(flat).item() == pytest.approx(value, abs=2e-6)


@pytest.mark.parametrize("form", FORMS.values())
def test_values_are_finite_and_non_negative(form):
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(500, WORDS, generator=generator) * torch.logspace(-3, 4, 500)[:, None]
    for temperature in (0.05, 1.0, 100.0):
        found = form(temperature=temperature).of(z)
        assert found.isfinite().all()
        assert (found >= 0).all()


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("k", [WORDS, 10**6])
def test_all_words_kept_give_the_entropy(temperature, k):
    found = TopKEntropy(k=k, temperature=temperature).of(logits())
    np.testing.assert_allclose(found.double().numpy(), entropy(probabilities(temperature)), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("rest", [1e-2, 1e-4, 1e-6, 1e-9])
@pytest.mark.parametrize("form", FORMS.values())
def test_memorised_tokens_of_a_real_vocabulary_are_exact(form, rest):
    """fp32 log-softmax over 50,000 words is off by 6 % here: the certain word swallows its neighbours in the sum."""
    z = torch.randn(3, 50_000, generator=torch.Generator().manual_seed(5))
    z[:, 7] = z[:, :7].logsumexp(-1).logaddexp(z[:, 8:].logsumexp(-1)) + math.log((1 - rest) / rest)
    np.testing.assert_allclose(form().of(z).double().numpy(), form().of(z.double()).numpy(), rtol=1e-4)


def test_variance_of_a_memorised_token_by_hand():
    # p = 1 − 3e-9 and three words of 1e-9: 1 − Σp² = 6e-9, margin 4e-9, collision entropy 6e-9
    z = torch.tensor([[0.0, *[math.log(1e-9)] * 3]])
    assert Variance().of(z).item() == pytest.approx(6e-9, rel=1e-5)
    assert CollisionEntropy().of(z).item() == pytest.approx(6e-9, rel=1e-5)
    assert Margin().of(z).item() == pytest.approx(4e-9, rel=1e-5)


def test_top_k_entropy_never_exceeds_ln_k():
    for k in KS[:3]:
        assert (TopKEntropy(k=k).of(logits()) <= math.log(k) + 1e-6).all()


@pytest.mark.parametrize("form", FORMS.values())
def test_the_order_of_words_does_not_matter(form):
    shuffled = logits()[:, torch.randperm(WORDS, generator=torch.Generator().manual_seed(2))]
    torch.testing.assert_close(form().of(shuffled), form().of(logits()), rtol=1e-5, atol=1e-6)


# --- columns ------------------------------------------------------------------------------------------------


def test_columns_are_named_after_all_hyper_parameters():
    assert Variance().column == "variance_T1.0"
    assert TopKEntropy().column == "top_k_entropy_k10_T1.0"
    assert TopKEntropy(k=100, temperature=2).column == "top_k_entropy_k100_T2.0"  # an integer from YAML


def test_columns_and_keys_are_unique():
    forms = [form(temperature=t) for form, t in itertools.product(FORMS.values(), (0.5, 1.0, 1.05, 10.0))]
    forms += [TopKEntropy(k=k, temperature=t) for k, t in itertools.product((2, 20, 100), (0.5, 1.0, 1.05, 10.0))]
    assert len({form.column for form in forms}) == len(set(forms)) == len(forms)
    assert dict.fromkeys([Margin(), Margin(temperature=1)]) == {Margin(): None}  # equal forms are one key


# --- the weighting ------------------------------------------------------------------------------------------

SEQUENCE = torch.repeat_interleave(torch.arange(4), torch.tensor([20, 1, 14, 25]))


def batch_of(form: Form | None, temperature: float) -> TokenBatch:
    log_p = (logits() / temperature).log_softmax(-1)
    spread = {} if form is None else {form: form.of(logits())}
    return TokenBatch(SEQUENCE, 4, log_p[:, 0], {temperature: -(log_p.exp() * log_p).sum(-1)}, spread)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("form", [NormalisedEntropy, lambda temperature: TopKEntropy(temperature=temperature, k=WORDS)])
def test_spread_of_normalised_or_untruncated_entropy_is_etw(form, temperature):
    form = form(temperature=temperature)
    batch = batch_of(form, temperature)
    found, etw = Spread(form=form).weights(batch), Entropy(temperature=temperature).weights(batch)
    torch.testing.assert_close(found, etw, rtol=1e-5, atol=1e-6)
    assert etw.std() > 0.1


def test_invariant_6_dividing_raw_entropy_by_ln_v_changes_the_scale_but_not_etw():
    normalised = NormalisedEntropy()
    batch = batch_of(normalised, 1.0)
    raw, share = RawEntropy().weights(batch), RawSpread(form=normalised).weights(batch)
    torch.testing.assert_close(share * math.log(WORDS), raw)
    torch.testing.assert_close(batch.normalise(raw), Entropy().weights(batch))
    torch.testing.assert_close(batch.normalise(share), Entropy().weights(batch))


@pytest.mark.parametrize(("form", "own", "formula"), FORMULAS, ids=IDS)
def test_spread_weights_equal_float64(form, own, formula):
    chosen = form(temperature=2.0, **own)
    batch = batch_of(chosen, 1.0)
    found = Spread(form=chosen).weights(batch)
    expected = formula(probabilities(2.0))
    np.testing.assert_allclose(RawSpread(form=chosen).weights(batch).numpy(), expected, rtol=1e-4, atol=1e-5)
    for i in range(4):
        part = SEQUENCE.numpy() == i
        np.testing.assert_allclose(
            found.numpy()[part], part.sum() * expected[part] / expected[part].sum(), rtol=1e-5, atol=1e-5
        )


def test_spread_asks_for_its_form_only():
    for weighting in (Spread, RawSpread):
        assert weighting(form=Margin(temperature=2.0)).forms() == (Margin(temperature=2.0),)
        assert weighting(form=Margin()).temperatures() == ()
    assert Entropy().forms() == ()


# --- config -------------------------------------------------------------------------------------------------


def study(weighting, forms=()):
    return config.load(
        {
            "study": "forms",
            "benchmark": {"name": "fictional"},
            "models": {"m": {"source": "scratch"}},
            "forms": list(forms),
            "methods": {"A": {"weighting": weighting, "objective": "ascent", "retain": "none"}},
        }
    )


def test_form_in_the_config_round_trips():
    method = study({"spread": {"form": {"top_k_entropy": {"k": 5}}}}).methods["A"]
    assert method.weighting == Spread(form=TopKEntropy(k=5))
    dumped = method.model_dump(mode="json")
    assert dumped["weighting"] == {"spread": {"form": {"top_k_entropy": {"k": 5, "temperature": 1.0}}}}
    assert MethodConfig(**json.loads(json.dumps(dumped))) == method


@pytest.mark.parametrize("name", FORMS)
def test_every_form_can_be_named_alone(name):
    assert study({"spread": {"form": name}}).methods["A"].weighting == Spread(form=FORMS[name]())


def test_a_study_stores_each_form_once():
    loaded = study({"spread": {"form": {"top_k_entropy": {"k": 5}}}}, ["margin", {"top_k_entropy": {"k": 5}}])
    assert loaded.all_forms() == [Margin(), TopKEntropy(k=5)]
    assert study("uniform").all_forms() == []
    assert config.load(loaded.model_dump(mode="json")) == loaded


def test_the_form_can_be_swept():
    method = MethodConfig(
        weighting={"spread": {"form": "variance"}},
        objective="ascent",
        retain="none",
        sweep={"weighting.form": ["margin", "top_k_entropy"]},
    )
    assert [point.weighting.form for point in method.points().values()] == [Margin(), TopKEntropy()]


@pytest.mark.parametrize(
    ("weighting", "parts"),
    [
        ("spread", [".form: missing; add it"]),
        (
            {"spread": {"form": "top_k_entropi"}},
            [".form", "did you mean 'top_k_entropy'?", "known: normalised_entropy"],
        ),
        ({"spread": {"form": ["margin"]}}, [".form", "write the form as a name, or as"]),
        ({"spread": {"form": {7: {}}}}, [".form", "unknown form '7'", "known: normalised_entropy"]),
        ({"spread": {"form": {"top_k_entropy": {"k": 1}}}}, [".k: ", "greater than or equal to 2"]),
        ({"spread": {"form": {"margin": {"temperature": 0}}}}, [".temperature: ", "greater than 0"]),
        ({"spread": {"form": {"margin": {"kk": 3}}}}, [".kk: unknown key", "correct its name"]),
        ({"spread": {"form": {"margin": {5: 3}}}}, [".form"]),
        ({"spread": {"form": {"margin": 2}}}, [".form", "hyper-parameters of form 'margin' as {margin:"]),
        ({"spread": "margin"}, ["hyper-parameters of weighting 'spread' as {spread:"]),
        ({"confidence": 0}, ["{confidence: {hyper-parameter: value}}"]),
    ],
)
def test_errors_name_key_and_fix(weighting, parts):
    with pytest.raises(ConfigError) as caught:
        study(weighting)
    for part in ("methods.A.weighting", *parts):
        assert part in str(caught.value)


def test_a_form_is_no_weighting():
    with pytest.raises(ValidationError):
        MethodConfig(weighting=Margin(), objective="ascent", retain="none")


def test_a_form_without_values_says_so():
    with pytest.raises(NotImplementedError, match="Form defines no values"):
        Form().values(torch.zeros(1, 2))
