"""Every weighting against its formula, the invariants of ETW (§2.5 of the specification), and a new weighting.

Invariant 4 (no gradient through ω) concerns the loop that hands out the batch: see test_unlearn.py.
"""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import Field, ValidationError
from sklearn.metrics import roc_auc_score

from lethe.benchmarks.records import select
from lethe.config import MethodConfig, TrainingConfig
from lethe.errors import InputError
from lethe.method import StaticWeighting, TokenBatch, Weighting
from lethe.objectives import OBJECTIVES
from lethe.statistics import token_statistics
from lethe.train import train
from lethe.unlearn import Unlearning
from lethe.weightings import WEIGHTINGS
from lethe.weightings.confidence import Confidence
from lethe.weightings.entropy import Entropy
from lethe.weightings.random import Random
from lethe.weightings.spans import Spans
from lethe.weightings.uniform import Uniform

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


def entropy_bounds(p: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray]:
    """H_min(p) and H_max(p) of ETW §2.4: the rest of the mass on one other word, or spread over all of them."""
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
        losses = OBJECTIVES["ascent"]().losses(logprob, weighting.weights(batch), batch)
        losses.sum().backward()
        gradients.append((losses.detach(), logprob.grad))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-5)
    assert len(batch.logprob.unique()) > 10


def test_invariant_3_infinite_temperature_gives_uniform_weights():
    batch = batch_of(random_logits(), (1e6,))
    torch.testing.assert_close(batch.entropy[1e6], torch.full((sum(LENGTHS),), math.log(WORDS)))
    torch.testing.assert_close(Entropy(temperature=1e6).weights(batch), torch.ones(sum(LENGTHS)))


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


def test_invariant_7_weights_do_not_depend_on_padding(records, sharp, encoder, scored):
    """The same rows in one padded forward pass and one by one, through the training loop."""
    rows = encoder.examples(select(records, "full", "forget10"))
    assert len({len(row) for row in rows}) > 1
    collected = {}
    for micro_batch_size in (4, 1):
        method = MethodConfig(weighting="entropy", objective="ascent", retain="none")
        task = Unlearning(method, rows, [], scored, seed=0, hidden_size=32)
        weigh, parts = task.weigh, []

        def listen(batch, weigh=weigh, parts=parts):
            parts.append(weigh(batch))
            return parts[-1]

        task.weigh = listen
        config = TrainingConfig(epochs=1, batch_size=4, micro_batch_size=micro_batch_size)
        train(copy.deepcopy(sharp), task, 4, config, seed=0, gpus=0)
        collected[micro_batch_size] = torch.cat(parts)
    assert len(collected[4]) == len(scored)
    torch.testing.assert_close(collected[4], collected[1], rtol=1e-4, atol=1e-4)


def test_invariant_8_every_exponent_ranks_tokens_by_confidence():
    batch = batch_of(random_logits())
    batch.logprob = batch.logprob.double()  # in fp32 powers and 1−p would create ties
    informative = np.random.default_rng(1).random(sum(LENGTHS)) < 0.3
    aucs = [
        roc_auc_score(informative, Confidence(exponent=exponent).weights(batch).numpy()) for exponent in (0.5, 1.0, 5.0)
    ]
    inverse = roc_auc_score(informative, -batch.logprob.expm1().numpy())
    assert aucs[0] == aucs[1] == aucs[2] == pytest.approx(1 - inverse, abs=1e-12)
    assert abs(aucs[0] - 0.5) > 0.01


def test_invariant_10_pooled_weights_rank_otherwise_than_raw_entropy():
    batch = batch_of(random_logits())
    weights, entropy = Entropy().weights(batch).numpy(), batch.entropy[1.0].numpy()
    informative = np.random.default_rng(0).random(sum(LENGTHS)) < 0.4
    assert roc_auc_score(informative, weights) != pytest.approx(roc_auc_score(informative, entropy), abs=1e-6)
    one = batch.sequence.numpy() == 2
    assert roc_auc_score(informative[one], weights[one]) == roc_auc_score(informative[one], entropy[one])


def test_invariant_11_temperature_moves_the_auc_of_entropy_only():
    temperatures = (0.5, 1.0, 3.0)
    batch = batch_of(random_logits(), temperatures)
    informative = np.random.default_rng(0).random(sum(LENGTHS)) < 0.4
    aucs = {roc_auc_score(informative, Entropy(temperature=t).weights(batch).numpy()) for t in temperatures}
    assert len(aucs) == 3
    confidence = [Confidence().weights(batch_of(random_logits(), (t,))) for t in temperatures]
    assert torch.equal(confidence[0], confidence[1])
    assert torch.equal(confidence[0], confidence[2])


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
    ],
)
def test_bad_hyper_parameters_are_refused(name, parameters):
    with pytest.raises(ValidationError):
        WEIGHTINGS[name](**parameters)


def test_every_weighting_says_what_it_is_made_from():
    known = {
        "ground truth",
        "parser",
        "predictive distribution",
        "gold-token confidence",
        "reference model",
        "training signal",
        "none",
    }
    assert all(set(weighting.information) <= known for weighting in WEIGHTINGS.values())


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
    """Toy: a weight per token from the hidden state that predicts it, with an optimiser step of its own."""

    def start(self, seed: int, hidden_size: int):
        torch.manual_seed(seed)
        layer = torch.nn.Linear(hidden_size, 1)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)

        def weigh(batch: TokenBatch) -> torch.Tensor:
            assert not batch.hidden_states.requires_grad
            states = batch.hidden_states[batch.sequence, batch.position]
            optimizer.zero_grad()
            (layer(states).sigmoid().mean() - 0.2).square().backward()
            optimizer.step()
            return layer(states).sigmoid().squeeze(-1)  # carries gradient; the loop must detach it

        return weigh


@pytest.mark.parametrize("weighting", [Surprise, Odd, Learned])
def test_a_new_weighting_works_end_to_end(weighting, monkeypatch, records, sharp, encoder, scored):
    monkeypatch.setitem(WEIGHTINGS, "toy", weighting)  # the line in the registry
    method = MethodConfig(weighting="toy", objective="ascent", retain="none")
    rows = encoder.examples(select(records, "full", "forget10"))
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
