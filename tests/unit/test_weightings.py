"""Every weighting against its formula, the properties in docs/choices.md, and a new weighting.

Invariant 4 (no gradient through ω) concerns the loop that hands out the batch; the gradients themselves are compared in
test_unlearn.py. Functional forms and the weighting `spread` are in test_forms.py.
"""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import Field, ValidationError
from sklearn.metrics import roc_auc_score

from lethe.analysis.auc import auc_table
from lethe.config import MethodConfig, TrainingConfig
from lethe.errors import InputError
from lethe.methods.contract import ForgetTokens, Run, StaticWeighting, TokenBatch, Weigher, Weighting
from lethe.methods.kernel import token_statistics
from lethe.methods.part import Part
from lethe.objectives.ascent import Ascent
from lethe.tokens.weigh import weights_at_start
from lethe.training.loop import train
from lethe.training.unlearn import Unlearning
from lethe.weightings import WEIGHTINGS
from lethe.weightings.confidence import Confidence
from lethe.weightings.entropy import Entropy
from lethe.weightings.importance import Importance
from lethe.weightings.mutual_information import MutualInformation
from lethe.weightings.random import Random
from lethe.weightings.raw_entropy import RawEntropy
from lethe.weightings.satimp import SatImp
from lethe.weightings.spacy_entities import SpacyEntities
from lethe.weightings.spacy_nouns import SpacyNouns
from lethe.weightings.spans import Spans
from lethe.weightings.tnpo import TNPO
from lethe.weightings.uniform import Uniform
from lethe.weightings.wtnpo import WTNPO

LENGTHS = (5, 1, 12, 8)
WORDS = 50


def random_logits(lengths=LENGTHS, seed=0) -> list[torch.Tensor]:
    """Per sequence [n, V] logits, from confident to flat tokens."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, WORDS, generator=generator) * 5 * torch.rand(n, 1, generator=generator) for n in lengths]


def batch_of(logits: list[torch.Tensor], temperatures=(1.0,)) -> TokenBatch:
    """A batch of sequences with the given logits; the target of token t is word t."""
    stacked = torch.cat(logits)
    targets = torch.cat([torch.arange(len(part)) for part in logits])
    statistics = token_statistics(stacked, torch.eye(WORDS), targets, temperatures)
    sequence = torch.repeat_interleave(torch.arange(len(logits)), torch.tensor([len(part) for part in logits]))
    return TokenBatch(sequence, len(logits), statistics.logprob, statistics.entropy)


def start_table(logits: list[torch.Tensor], methods: dict[str, object], temperatures=(1.0,)) -> pd.DataFrame:
    """Token table of the starting model in float64, with random labels and each method's weights at the start.

    Args:
        methods: name -> weighting as in the config.
    """
    stacked = torch.cat(logits).double()
    targets = torch.cat([torch.arange(len(part)) for part in logits])
    lengths = [len(part) for part in logits]
    table = pd.DataFrame(
        {
            "sample": np.repeat(np.arange(len(logits)), lengths),
            "position": np.concatenate([np.arange(n) for n in lengths]),
            "eos": False,
            "informative_gold": pd.array(np.random.default_rng(0).random(sum(lengths)) < 0.4, dtype="boolean"),
            "logprob": stacked.log_softmax(-1).gather(-1, targets[:, None]).squeeze(-1).numpy(),
        }
    )
    for t in temperatures:
        log_p = (stacked / t).log_softmax(-1)
        table[f"entropy_T{t}"] = -(log_p.exp() * log_p).sum(-1).numpy()
    for name, weighting in methods.items():
        method = MethodConfig(weighting=weighting, objective="ascent", retain="none")
        table[f"weight_{name}"] = weights_at_start(method.weighting, table, seed=0)
    return table


def aucs(table: pd.DataFrame) -> dict[str, float]:
    """AUC of every weight and entropy of a token table by `lethe.analysis.auc`."""
    scores = [column for column in table if column.startswith(("weight_", "entropy_"))]
    result = auc_table(table, ["gold"], scores, bootstrap=0)
    return dict(zip(result["score"].str.removeprefix("weight_"), result["auc"], strict=True))


def memorised_logits(margin: float, lengths=LENGTHS, seed=4) -> list[torch.Tensor]:
    """Logits of a model that has learnt its targets (word t at token t) by a margin of 0 to `margin`."""
    generator = torch.Generator().manual_seed(seed)
    logits = random_logits(lengths, seed)
    for part in logits:
        n = len(part)
        part[torch.arange(n), torch.arange(n)] += margin * torch.rand(n, generator=generator)
    return logits


def entropy_bounds(p: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray]:
    """H_min(p) and H_max(p): the rest of the mass on one other word, or spread over all of them."""
    binary = -(p * np.log(p) + (1 - p) * np.log1p(-p))
    return binary, binary + (1 - p) * math.log(words - 1)


# --- ETW's invariants ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_invariant_1_weights_are_non_negative_with_mean_one_per_sequence(temperature):
    batch = batch_of(random_logits(), (temperature,))
    weights = Entropy(temperature=temperature).weights(batch)
    assert weights.shape == (sum(LENGTHS),)
    assert (weights >= 0).all()
    torch.testing.assert_close(batch.sum_per_sequence(weights), torch.tensor([float(n) for n in LENGTHS]))
    assert weights[5] == 1  # the only token of its sequence


def test_weights_equal_the_formula_in_float64():
    logits = random_logits()
    found = Entropy(temperature=2.0).weights(batch_of(logits, (2.0,)))
    expected = []
    for part in logits:
        p = (part.double() / 2.0).softmax(-1).numpy()
        entropy = -(p * np.log(p)).sum(-1)
        expected.append(len(part) * entropy / entropy.sum())
    np.testing.assert_allclose(found.numpy(), np.concatenate(expected), rtol=1e-5)


def test_invariant_2_constant_entropy_is_gradient_ascent():
    generator = torch.Generator().manual_seed(1)
    row = torch.randn(WORDS, generator=generator)
    # permuted predictions: every token another distribution, all of one entropy
    logits = [torch.stack([row[torch.randperm(WORDS, generator=generator)] for _ in range(n)]) for n in LENGTHS]
    batch = batch_of(logits)
    gradients = []
    for weighting in (Entropy(), Uniform()):
        logprob = batch.logprob.clone().requires_grad_()
        tokens = ForgetTokens(logprob, *[None] * 3)  # ascent reads nothing else
        losses = Ascent().losses(tokens, weighting.weights(batch), batch)
        losses.sum().backward()
        gradients.append((losses.detach(), logprob.grad))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-5)
    assert len(batch.logprob.unique()) > 10


def test_invariant_3_infinite_temperature_gives_uniform_weights():
    batch = batch_of(random_logits(), (1e6,))
    torch.testing.assert_close(batch.entropy[1e6], torch.full((sum(LENGTHS),), math.log(WORDS)))
    torch.testing.assert_close(Entropy(temperature=1e6).weights(batch), torch.ones(sum(LENGTHS)))


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_invariant_4_the_loop_hands_out_constants(name, data, sharp, encoder, scored):
    """Neither the batch that a weighting gets nor the weights that an objective gets carry gradient."""
    n = len(scored)
    table = scored.assign(pos="NOUN", noun_chunk=True, entity=True, mutual_information=np.linspace(0.1, 1, n))
    weighting = {name: {"form": "margin"}} if name.endswith("spread") else name
    method = MethodConfig(weighting=weighting, objective="ascent", retain="none")
    task = Unlearning(method, encoder.examples(data.forget("forget10")), [], table, 0, hidden_size=32)
    begin, seen = task.begin, []

    def begin_and_listen(context):
        begin(context)
        losses = task.losses

        def listen(tokens, weights, batch):
            constants = [batch.logprob, batch.hidden_states, *batch.entropy.values(), *batch.forms.values()]
            seen.append([x.requires_grad for x in (tokens.logprob, weights, *constants)])
            return losses(tokens, weights, batch)

        task.losses = listen

    task.begin = begin_and_listen
    train(copy.deepcopy(sharp), task, 4, TrainingConfig(epochs=1, batch_size=4), seed=0, gpus=0)
    assert seen
    for of_tokens, *of_constants in seen:
        assert of_tokens  # the check can tell
        assert not any(of_constants)


def test_invariant_5_entropy_lies_between_its_bounds_at_given_confidence():
    batch = batch_of(random_logits())
    p = batch.logprob.double().exp().numpy()
    low, high = entropy_bounds(p, WORDS)
    entropy = batch.entropy[1.0].double().numpy()
    assert (low - 1e-5 <= entropy).all()
    assert (entropy <= high + 1e-5).all()


def test_invariant_5_the_bounds_are_attained():
    p = 0.3
    lowest = torch.full((WORDS,), -200.0)
    lowest[0], lowest[1] = math.log(p), math.log(1 - p)
    highest = torch.full((WORDS,), math.log((1 - p) / (WORDS - 1)))
    highest[0] = math.log(p)
    batch = batch_of([lowest[None], highest[None]])
    low, high = entropy_bounds(np.array(p), WORDS)
    torch.testing.assert_close(batch.logprob.exp(), torch.full((2,), p))
    torch.testing.assert_close(batch.entropy[1.0], torch.tensor([float(low), float(high)]))


@pytest.mark.parametrize("unit", [math.log(2), math.log(WORDS)])
def test_invariant_6_the_log_base_cancels(unit):
    batch = batch_of(random_logits())
    weights = Entropy().weights(batch)
    batch.entropy = {1.0: batch.entropy[1.0] / unit}
    torch.testing.assert_close(Entropy().weights(batch), weights)


def test_invariant_7_weights_do_not_depend_on_the_other_sequences():
    logits = random_logits()
    together = Entropy().weights(batch_of(logits)).split(LENGTHS)
    for part, weights in zip(logits, together, strict=True):
        torch.testing.assert_close(Entropy().weights(batch_of([part])), weights)


def test_invariant_7_weights_do_not_depend_on_padding(data, sharp, encoder, scored, listen):
    """The same rows in one padded forward pass and one by one, through the training loop."""
    rows = encoder.examples(data.forget("forget10"))
    assert len({len(row) for row in rows}) > 1
    collected = {}
    for micro_batch_size in (4, 1):
        method = MethodConfig(weighting="entropy", objective="ascent", retain="none")
        task = Unlearning(method, rows, [], scored, seed=0, hidden_size=32)
        parts = listen(task)
        config = TrainingConfig(epochs=1, batch_size=4, micro_batch_size=micro_batch_size)
        train(copy.deepcopy(sharp), task, 4, config, seed=0, gpus=0)
        collected[micro_batch_size] = torch.cat(parts)
    assert len(collected[4]) == len(scored)
    torch.testing.assert_close(collected[4], collected[1], rtol=1e-4, atol=1e-4)


EXPONENTS = (0.5, 1.0, 5.0)


@pytest.mark.parametrize("margin", [0.0, 15.0, 40.0])  # up to 1 − p = 1e-15, where p and 1 − p saturate
def test_invariant_8_confidence_and_importance_rank_in_opposite_order_at_every_exponent(margin):
    methods = {f"{name}{b}": {name: {"exponent": b}} for name in ("confidence", "importance") for b in EXPONENTS}
    found = aucs(start_table(memorised_logits(margin), methods))
    confidence = {found[f"confidence{b}"] for b in EXPONENTS}  # WGA = Sat
    importance = {found[f"importance{b}"] for b in EXPONENTS}
    assert len(confidence) == len(importance) == 1
    assert confidence.pop() == pytest.approx(1 - importance.pop(), abs=1e-12)
    assert abs(found["confidence1.0"] - 0.5) > 0.01


def test_invariant_8_by_scikit_learn_in_float64():
    table = start_table(random_logits(), {"WGA": "confidence", "Imp": {"importance": {"exponent": 5.0}}})
    informative = table["informative_gold"].to_numpy(bool)
    confidence, importance = (roc_auc_score(informative, table[f"weight_{name}"]) for name in ("WGA", "Imp"))
    assert confidence == roc_auc_score(informative, table["logprob"]) == pytest.approx(1 - importance, abs=1e-12)


@pytest.mark.parametrize("margin", [0.0, 15.0])
def test_invariant_9_tnpo_at_the_starting_model_knows_nothing(margin):
    table = start_table(memorised_logits(margin), {"TNPO": "tnpo", "TNPO1": {"tnpo": {"beta": 1.0}}})
    assert (table[["weight_TNPO", "weight_TNPO1"]] == 1).all(axis=None)
    found = aucs(table)
    assert found["TNPO"] == found["TNPO1"] == 0.5


@pytest.mark.parametrize("margin", [0.0, 15.0])
def test_invariant_9_why_the_authors_epsilon_is_left_out(margin):
    """With GEFF's 1e-5, ω = 2p^β / (2p^β + 1e-5) rises strictly with p; Lethe's does not."""
    table = start_table(memorised_logits(margin), {"WGA": "confidence", "TNPO": "tnpo"})
    powers = np.exp(4 * table["logprob"])
    table["weight_TNPO_GEFF"] = 2 * powers / (powers + powers + 1e-5)
    found = aucs(table)
    assert found["TNPO_GEFF"] == found["WGA"] != found["TNPO"]
    assert abs(found["WGA"] - 0.5) > 0.01


def test_invariant_9_wtnpo_at_the_starting_model_is_a_power_of_confidence():
    table = start_table(random_logits(), {"WTNPO": "wtnpo", "WGA": {"confidence": {"exponent": 1.5}}})
    np.testing.assert_allclose(table["weight_WTNPO"], table["weight_WGA"], rtol=1e-12)


def test_invariant_10_pooled_weights_rank_otherwise_than_raw_entropy():
    table = start_table(random_logits(), {"ETW": "entropy", "raw": "raw_entropy"})
    found = aucs(table)
    assert abs(found["ETW"] - found["entropy_T1.0"]) > 1e-3
    assert found["raw"] == found["entropy_T1.0"]
    for sample in (0, 2, 3):  # sample 1 is a single token
        one = aucs(table[table["sample"] == sample])
        assert one["ETW"] == one["entropy_T1.0"] == one["raw"]


def test_invariant_11_temperature_moves_the_auc_of_entropy_only():
    temperatures = (0.5, 1.0, 3.0)
    others = ("confidence", "importance", "satimp", "wtnpo")  # tnpo is constant here whatever happens
    found = []
    for t in temperatures:
        methods = {"ETW": {"entropy": {"temperature": t}}, **{name: name for name in others}}
        # the kernel's own numbers at that temperature, as a training step gets them
        logprob = batch_of(random_logits(), (t,)).logprob.double().numpy()
        table = start_table(random_logits(), {}, (t,)).assign(logprob=logprob)
        for name, weighting in methods.items():
            method = MethodConfig(weighting=weighting, objective="ascent", retain="none")
            table[f"weight_{name}"] = weights_at_start(method.weighting, table, seed=0)
        found.append(aucs(table))
    assert len({f["ETW"] for f in found}) == 3
    for name in others:
        assert len({f[name] for f in found}) == 1


# --- the rest of entropy, confidence and uniform ------------------------------------------------------------


def test_a_sequence_without_entropy_gets_weight_one_and_a_warning(caplog):
    batch = batch_of(random_logits((3, 2)))
    batch.entropy[1.0][:3] = 0
    weights = Entropy().weights(batch)
    assert weights[:3].tolist() == [1, 1, 1]
    assert weights[3:].sum().item() == pytest.approx(2)
    assert weights[3] != 1
    assert "weights of 3 tokens are all zero" in caplog.text


def test_entropy_asks_for_its_temperature_only():
    assert Entropy(temperature=2.5).temperatures() == (2.5,)
    assert Confidence().temperatures() == Uniform().temperatures() == Spans().temperatures() == ()


def test_confidence_is_a_power_of_the_probability():
    batch = TokenBatch(torch.tensor([0, 0]), 1, torch.tensor([0.5, 0.1]).log())
    torch.testing.assert_close(Confidence().weights(batch), torch.tensor([0.5, 0.1]))
    torch.testing.assert_close(Confidence(exponent=2.0).weights(batch), torch.tensor([0.25, 0.01]))


P, P0 = np.meshgrid(  # probabilities from 1e-9 to 1 − 1e-9 under the current and the starting model
    1 / (1 + np.exp(-np.linspace(-20.7, 20.7, 41))), [1e-6, 0.1, 0.5, 0.999]
)

CLOSED_FORMS = [
    *((Confidence(exponent=b), lambda p, p0, b=b: p**b) for b in (0.5, 1.0, 5.0)),
    *((Importance(exponent=b), lambda p, p0, b=b: (1 - p) ** b) for b in (0.5, 1.0, 5.0)),
    *(
        (SatImp(beta1=a, beta2=b), lambda p, p0, a=a, b=b: p**a * (1 - p) ** b)
        for a, b in ((5.0, 1.0), (5.0, 0.1), (0.5, 2.0), (0.0, 1.0), (1.0, 0.0))
    ),
    *((TNPO(beta=b), lambda p, p0, b=b: 2 * p**b / (p**b + p0**b)) for b in (0.5, 1.0, 4.0)),
    *(
        (WTNPO(alpha=a, beta=b), lambda p, p0, a=a, b=b: 2 * p ** (b + a) / (p**b + p0**b))
        for a, b in ((1.5, 4.0), (0.5, 1.0))
    ),
]


def confidence_batch(p, p0, dtype=torch.float32) -> TokenBatch:
    """One sequence of tokens with log-probabilities ln p under the current and ln p₀ under the starting model."""
    logprob, reference = (torch.from_numpy(np.log(x.ravel())).to(dtype) for x in (p, p0))
    return TokenBatch(torch.zeros(p.size, dtype=torch.long), 1, logprob, reference_logprob=reference)


@pytest.mark.parametrize(("weighting", "formula"), CLOSED_FORMS, ids=lambda x: repr(x) if isinstance(x, Part) else "")
def test_weights_equal_the_formula_of_probabilities(weighting, formula):
    expected = formula(P.ravel(), P0.ravel())
    # ω is compared with itself, however small it is, down to where fp32 ends
    found = weighting.weights(confidence_batch(P, P0))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-37)
    exact = weighting.weights(confidence_batch(P, P0, torch.float64))
    np.testing.assert_allclose(exact.numpy(), expected, rtol=1e-6)  # 1 − p of the formula itself cancels


def test_every_confidence_weighting_has_a_closed_form_here():
    confidence = {w for w in WEIGHTINGS.values() if "gold-token confidence" in w.information}
    assert {type(weighting) for weighting, _ in CLOSED_FORMS} == confidence


@pytest.mark.parametrize(("weighting", "formula"), CLOSED_FORMS, ids=lambda x: repr(x) if isinstance(x, Part) else "")
def test_extreme_probabilities_stay_finite(weighting, formula):
    current, start = torch.tensor([0.0, -1e4, 0.0, -1e4]), torch.tensor([0.0, 0.0, -1e4, -1e4])
    batch = TokenBatch(torch.zeros(4, dtype=torch.long), 1, current, reference_logprob=start)
    found = weighting.weights(batch)
    assert found.isfinite().all()
    assert (found >= 0).all()
    # p = 0 or 1: the formulas at their limits, with p^β/(p^β + p₀^β) = ½ where both probabilities vanish
    p, p0 = np.array([1, 0, 1]), np.array([1, 1, 0])
    np.testing.assert_array_equal(found[:3].numpy(), formula(p * 1.0, p0 * 1.0))
    if isinstance(weighting, TNPO):
        assert found[3] == 1


def test_rounding_above_probability_one_is_no_nan():
    batch = TokenBatch(torch.tensor([0]), 1, torch.tensor([1e-7]))
    assert Importance(exponent=0.5).weights(batch).item() == 0
    assert SatImp(beta2=0.1).weights(batch).item() == 0


def test_saturated_importance_still_orders_tokens():
    logprob = torch.tensor([-1e-9, -1e-8, -1e-7])  # p is 1 in fp32 for the first two
    assert (Importance().weights(TokenBatch(torch.zeros(3, dtype=torch.long), 1, logprob)).diff() > 0).all()


def test_default_satimp_never_exceeds_its_maximum():
    p = np.linspace(0.001, 0.999, 999)
    weights = SatImp().weights(confidence_batch(p, p))
    assert weights.max().item() == pytest.approx((5 / 6) ** 5 / 6, rel=1e-5)  # 0.067, at p = 5/6
    assert weights.argmax().item() == 832
    assert (SatImp().beta1, SatImp().beta2) == (5.0, 1.0)


def test_default_exponents():
    assert Confidence().exponent == Importance().exponent == 1.0
    assert TNPO().beta == WTNPO().beta == 4.0
    assert WTNPO().alpha == 1.5


def test_tnpo_lets_fallen_tokens_go_and_presses_risen_ones_twice():
    found = TNPO().weights(confidence_batch(np.array([0.01, 0.5, 0.99]), np.array([0.9, 0.5, 0.1])))
    np.testing.assert_allclose(found.numpy(), [0, 1, 2], atol=1e-3)


def test_only_comparisons_with_the_starting_model_ask_for_it():
    assert {name for name, weighting in WEIGHTINGS.items() if weighting.reference} == {"tnpo", "wtnpo"}
    assert all(("reference model" in w.information) == w.reference for w in WEIGHTINGS.values())


def test_confidence_weights_are_not_normalised():
    batch = confidence_batch(np.array([0.5, 0.5]), np.array([0.5, 0.5]))
    assert Confidence().weights(batch).tolist() == pytest.approx([0.5, 0.5])
    assert Importance().weights(batch).tolist() == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_raw_entropy_is_the_entropy(temperature):
    weighting = RawEntropy(temperature=temperature)
    found = weighting.weights(batch_of(random_logits(), (temperature,)))
    p = (torch.cat(random_logits()).double() / temperature).softmax(-1).numpy()
    np.testing.assert_allclose(found.numpy(), -(p * np.log(p)).sum(-1), rtol=1e-5, atol=1e-7)
    assert weighting.temperatures() == (temperature,)


def test_uniform_is_one():
    assert Uniform().weights(batch_of(random_logits())).tolist() == [1.0] * sum(LENGTHS)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("confidence", {"exponent": 0}),
        ("entropy", {"temperature": 0}),
        ("random", {"share": 0}),
        ("random", {"share": 1.1}),
        ("entropy", {"temprature": 2}),
        ("raw_entropy", {"temperature": 0}),
        ("importance", {"exponent": 0}),
        ("satimp", {"beta1": -1}),
        ("satimp", {"beta2": -1}),
        ("tnpo", {"beta": 0}),
        ("wtnpo", {"alpha": 0}),
        ("wtnpo", {"beta": 0}),
        ("spacy_nouns", {"definition": "verbs"}),
        ("spread", {}),
        ("raw_spread", {}),
    ],
)
def test_bad_hyper_parameters_are_refused(name, parameters):
    with pytest.raises(ValidationError):
        WEIGHTINGS[name](**parameters)


# --- static weightings --------------------------------------------------------------------------------------


def static_table() -> pd.DataFrame:
    """Sequences a (8 tokens, 2 informative), b (3, none), c (1, informative)."""
    informative = [*[0, 1, 0, 0, 1, 0, 0, 0], *[0, 0, 0], 1]
    return pd.DataFrame(
        {
            "sample": ["a"] * 8 + ["b"] * 3 + ["c"],
            "position": [*range(8), *range(3), 0],
            "informative_gold": pd.array([bool(x) for x in informative], dtype="boolean"),
        }
    )


def test_spans_spread_the_whole_strength_over_informative_tokens():
    weights = Spans().column(static_table(), seed=0)
    np.testing.assert_array_equal(weights, [*[0, 4, 0, 0, 4, 0, 0, 0], *[0, 0, 0], 1])


def test_spans_do_not_depend_on_the_order_of_rows():
    table = static_table()
    table["expected"] = Spans().column(table, seed=0)
    shuffled = table.sample(frac=1, random_state=3)
    np.testing.assert_array_equal(Spans().column(shuffled, seed=0), shuffled["expected"])


def test_spans_read_the_label_source_they_are_told():
    table = static_table().rename(columns={"informative_gold": "informative_spacy"})
    assert Spans(label="spacy").columns() == ("informative_spacy",)
    assert Spans(label="spacy").column(table, seed=0)[1] == 4


def test_spans_without_a_label_for_a_sample_is_an_error():
    table = static_table()
    table.loc[table["sample"] == "b", "informative_gold"] = pd.NA
    with pytest.raises(InputError, match="label source 'gold' says nothing about sample b"):
        Spans().column(table, seed=0)


@pytest.mark.parametrize(("share", "drawn"), [(0.25, [2, 1, 1]), (0.5, [4, 2, 1]), (1.0, [8, 3, 1]), (0.01, [1] * 3)])
def test_random_draws_k_tokens_of_each_sequence(share, drawn):
    table = static_table()
    weights = pd.Series(Random(share=share).column(table, seed=0)).groupby(table["sample"])
    assert (weights.apply(lambda w: (w > 0).sum())).tolist() == drawn
    np.testing.assert_allclose(weights.sum(), [8, 3, 1])
    assert (weights.apply(lambda w: w[w > 0].nunique()) == 1).all()


def test_random_depends_on_the_seed_and_on_nothing_else():
    table = static_table()
    weighting = Random(share=0.25)
    np.testing.assert_array_equal(weighting.column(table, seed=7), weighting.column(table, seed=7))
    chosen = np.array([weighting.column(table, seed=seed)[:8] > 0 for seed in range(400)])
    # each of 8 tokens is drawn with probability 1/4: 100 ± 8.7 of 400
    assert (abs(chosen.sum(0) - 100) < 45).all()


def parsed_table() -> pd.DataFrame:
    tags = ["DET", "PROPN", "PROPN", "VERB", "ADV", "ADJ", "NOUN", "NUM", "PUNCT", "PRON", "AUX", ""]
    return static_table().assign(pos=tags, noun_chunk=[i in (0, 1, 2, 5, 6) for i in range(12)], entity=False)


@pytest.mark.parametrize(
    ("definition", "column", "chosen"),
    [
        ("nouns", "pos", [1, 2, 6]),
        ("noun_chunks", "noun_chunk", [0, 1, 2, 5, 6]),
        ("content", "pos", [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_spacy_nouns_are_a_mask_of_what_the_parser_says(definition, column, chosen):
    weighting = SpacyNouns(definition=definition)
    assert weighting.columns() == (column,)
    weights = weighting.column(parsed_table()[["sample", "position", column]], seed=0)
    np.testing.assert_array_equal(weights, [float(i in chosen) for i in range(12)])
    assert SpacyNouns().definition == "nouns"


def test_spacy_entities_are_a_mask():
    table = parsed_table().assign(entity=[i in (1, 2, 11) for i in range(12)])
    assert SpacyEntities().columns() == ("entity",)
    np.testing.assert_array_equal(SpacyEntities().column(table, seed=0), [float(i in (1, 2, 11)) for i in range(12)])


def test_mutual_information_is_rescaled_within_each_sample():
    values = np.array([*[0.1, 0.3, 0, 0.4, 0.2, 0, 0, 0], *[0, 0, 0], 0.05])
    table = static_table().assign(mutual_information=values)
    assert MutualInformation().columns() == ("mutual_information",)
    weights = MutualInformation().column(table, seed=0)
    np.testing.assert_allclose(weights, [*(8 * values[:8]), 1, 1, 1, 1])  # sample a sums to 1, b is all zero
    shuffled = table.assign(expected=weights).sample(frac=1, random_state=3)
    np.testing.assert_allclose(MutualInformation().column(shuffled, seed=0), shuffled["expected"])


def test_mutual_information_below_zero_is_rounding():
    table = static_table().assign(mutual_information=[0.5, -1e-9, *[0.0] * 9, -1e-9])
    weights = MutualInformation().column(table, seed=0)
    np.testing.assert_array_equal(weights, [8, *[0] * 7, *[1] * 4])


# --- a new weighting: what the README promises --------------------------------------------------------------


class Surprise(Weighting):
    """Toy: ω ∝ (−ln p)^power within each sequence."""

    information = ("gold-token confidence",)
    power: float = Field(1.0, gt=0, description="Exponent, without unit.")

    def weights(self, batch: TokenBatch) -> torch.Tensor:
        return batch.normalise((-batch.logprob) ** self.power)


class Odd(StaticWeighting):
    """Toy: every second token."""

    def column(self, table: pd.DataFrame, seed: int) -> np.ndarray:
        return (table["position"] % 2).to_numpy()


class Learned(Weighting):
    """Toy: a weight per token from the hidden state that predicts it, learned towards 0.2."""

    def start(self, run: Run) -> Weigher:
        return Learner(run)


class Learner(Weigher):
    def __init__(self, run: Run):
        torch.manual_seed(run.seed)
        self.layer = torch.nn.Linear(run.hidden_size, 1)
        self.optimizer = torch.optim.SGD(self.layer.parameters(), lr=0.1)

    def weights(self, batch: TokenBatch) -> torch.Tensor:
        assert not batch.hidden_states.requires_grad
        states = batch.hidden_states[batch.sequence, batch.position]
        return self.layer(states).sigmoid().squeeze(-1)  # carries gradient; the loop must detach it

    def parameters(self):
        return self.layer.parameters()

    def learn(self, batch: TokenBatch, forget_loss) -> None:
        ((self.weights(batch) - 0.2).square().sum() / batch.step_tokens).backward()

    def update(self, step: int) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()


@pytest.mark.parametrize("weighting", [Surprise, Odd, Learned])
def test_a_new_weighting_works_end_to_end(weighting, monkeypatch, data, sharp, encoder, scored):
    monkeypatch.setitem(WEIGHTINGS, "toy", weighting)  # the line in the registry
    method = MethodConfig(weighting="toy", objective="ascent", retain="none")
    rows = encoder.examples(data.forget("forget10"))
    task = Unlearning(method, rows, [], scored, seed=0, hidden_size=32)
    model = copy.deepcopy(sharp)
    config = TrainingConfig(epochs=3, batch_size=2, learning_rate=1e-2, warmup_epochs=0)
    log = train(model, task, len(rows), config, seed=0, gpus=0)
    log_probability = log["loss_forget"] / log["weight_mean"]
    assert log_probability.iloc[-1] < log_probability.iloc[0]  # the tokens are forgotten
    assert (log["weight_std"] > 0).all()
    if weighting is Surprise:
        assert MethodConfig(weighting={"toy": {"power": 2.0}}, objective="ascent", retain="none").weighting.power == 2
        np.testing.assert_allclose(log["weight_mean"], 1, rtol=1e-5)
    if weighting is Learned:
        assert log["weight_mean"].iloc[-1] < log["weight_mean"].iloc[0]  # its own steps, towards 0.2


def test_a_weighting_that_defines_nothing_says_so():
    with pytest.raises(NotImplementedError, match="neither weights"):
        Weighting().weights(batch_of(random_logits()))
    with pytest.raises(NotImplementedError, match="no column"):
        StaticWeighting().column(static_table(), 0)
