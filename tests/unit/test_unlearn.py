"""A method's three parts at work: gradients of a step against float64, order, strengths, alignment, reference."""

import copy
import weakref

import numpy as np
import pandas as pd
import pytest
import torch

import lethe.unlearn
from lethe import reference
from lethe.benchmarks.records import select
from lethe.config import MethodConfig, TrainingConfig
from lethe.errors import InputError
from lethe.method import Weighting
from lethe.objectives import OBJECTIVES
from lethe.statistics import TokenStatistics, token_statistics
from lethe.train import Context, train
from lethe.unlearn import Reference, Unlearning, retain_draws, weights_at_start
from lethe.weightings import WEIGHTINGS

SEED = 3


def method(weighting="uniform", objective="ascent", retain="none", **strengths) -> MethodConfig:
    return MethodConfig(weighting=weighting, objective=objective, retain=retain, **strengths)


@pytest.fixture(scope="module")
def forget(records, encoder):
    return encoder.examples(select(records, "full", "forget10"))


@pytest.fixture(scope="module")
def retain(records, encoder):
    return encoder.examples(select(records, "full", "retain90")[:10])


@pytest.fixture(scope="module")
def stored(sharp, retain) -> Reference:
    return reference.compute(sharp, retain, None)


@pytest.fixture(scope="module")
def other_start(sharp, scored):
    """The token table with other starting log-probabilities, so that a reference model has something to say."""
    shift = np.random.default_rng(0).normal(0, 0.5, len(scored))
    return scored.assign(logprob=(scored["logprob"] + shift).astype("float32"))


def context_for(model, micro_batch_size=None) -> Context:
    return Context(model, TrainingConfig(batch_size=4, micro_batch_size=micro_batch_size), SEED, gpus=0)


def step(model, task, micro_batch_size=None) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Values and gradients of one step over all forget rows; the model's weights stay as they are."""
    model = copy.deepcopy(model)
    values = task.backward(np.arange(len(task.forget)), context_for(model, micro_batch_size))
    return values, {name: p.grad for name, p in model.named_parameters()}


def largest_difference(found, expected) -> float:
    """Relative to the largest gradient of all."""
    largest = max(float(g.abs().max()) for g in expected.values())
    return max(float((found[name].double() - g.double()).abs().max()) for name, g in expected.items()) / largest


# --- the step against float64 -------------------------------------------------------------------------------


def logits_of(model, example) -> torch.Tensor:
    """[n, V] logits that predict a row's answer tokens, by plain transformers."""
    first = len(example.prompt) - 1
    return model(torch.tensor([example.prompt + example.answer])).logits[0, first : first + len(example.answer)]


def log_probability(logits, example) -> torch.Tensor:
    return logits.log_softmax(-1).gather(-1, torch.tensor(example.answer)[:, None]).squeeze(-1)


def entropy_weights(logits, temperature):
    log_p = (logits / temperature).log_softmax(-1)
    entropy = -(log_p.exp() * log_p).sum(-1)
    return len(entropy) * entropy / entropy.sum()


def by_hand(model, task, weigh, npo=None, detach=True):
    """Loss and gradients of a step in float64: formulas of metrics §3, one row at a time, no kernel, no batching."""
    model = copy.deepcopy(model).double()
    total = 0.0
    for i, row in enumerate(task.forget):
        logits = logits_of(model, row)
        weights = weigh(logits, row)
        weights = weights.detach() if detach else weights
        s = -(weights * log_probability(logits, row)).sum()
        if npo is None:
            total = total - s / sum(len(r.answer) for r in task.forget)
        else:
            s0 = -(weights * task.start_logprob[i].double()).sum()
            total = total - 2 / npo * torch.nn.functional.logsigmoid(npo * (s - s0)) / len(task.forget)
    loss_forget = total.item()
    total = task.method.strength * total
    if task.method.retain.rows:
        rows = retain_draws(len(task.retain), SEED, 0, 0, 0, len(task.forget))
        examples = [task.retain[row] for row in rows]
        nll = -sum(log_probability(logits_of(model, e), e).sum() for e in examples)
        total = total + task.method.retain_strength * nll / sum(len(e.answer) for e in examples)
    total.backward()
    return loss_forget, {name: p.grad for name, p in model.named_parameters()}


WEIGH = {
    "uniform": lambda logits, row: torch.ones(len(logits), dtype=logits.dtype),
    "confidence": lambda logits, row: log_probability(logits, row).exp(),
    "entropy": lambda logits, row: entropy_weights(logits, 1.0),
}


@pytest.mark.parametrize("micro_batch_size", [None, 3])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("weighting", WEIGH)
def test_a_step_equals_float64(weighting, objective, micro_batch_size, sharp, forget, retain, other_start):
    chosen = method(weighting, objective, "nll", strength=0.3, retain_strength=2.0)
    task = Unlearning(chosen, forget, retain, other_start, SEED, 32)
    values, found = step(sharp, task, micro_batch_size)
    loss, expected = by_hand(sharp, task, WEIGH[weighting], npo=0.1 if objective == "npo" else None)
    assert values["loss_forget"] == pytest.approx(loss, rel=1e-4)
    assert largest_difference(found, expected) < 1e-4


@pytest.mark.parametrize("weighting", ["confidence", "entropy"])
def test_invariant_4_no_gradient_flows_through_the_weights(weighting, sharp, forget, scored):
    """The gradient is that with constant weights, and the check can tell: with live weights it is another."""
    task = Unlearning(method(weighting), forget, [], scored, SEED, 32)
    _, found = step(sharp, task)
    constant, live = (by_hand(sharp, task, WEIGH[weighting], detach=detach)[1] for detach in (True, False))
    assert largest_difference(found, constant) < 1e-4
    assert largest_difference(live, constant) > 0.01


class Stubborn(Weighting):
    """Hands back weights and batch with gradient, as a learned weighting may; remembers what it was given."""

    def start(self, seed, hidden_size):
        scale = torch.nn.Parameter(torch.tensor(1.5))
        Stubborn.scale, Stubborn.batches = scale, []

        def weigh(batch):
            Stubborn.batches.append(batch)
            return scale * torch.ones_like(batch.logprob)

        return weigh


def test_batch_and_weights_are_constants_to_the_loss(monkeypatch, sharp, forget, scored):
    monkeypatch.setattr(Stubborn, "temperatures", lambda self: (2.0,))
    task = Unlearning(method(Stubborn()), forget, [], scored, SEED, 32)
    values, found = step(sharp, task)
    assert Stubborn.scale.grad is None
    assert values["weight_mean"] == 1.5
    assert values["weight_std"] == 0.0
    (batch,) = Stubborn.batches
    tensors = (batch.logprob, batch.entropy[2.0], batch.hidden_states)
    assert not any(tensor.requires_grad for tensor in tensors)
    _, uniform = step(sharp, Unlearning(method(), forget, [], scored, SEED, 32))
    assert largest_difference(found, {name: 1.5 * g for name, g in uniform.items()}) < 1e-5


def test_only_objectives_that_compare_need_starting_log_probabilities(sharp, forget, scored):
    unscored = scored.drop(columns="logprob")
    step(sharp, Unlearning(method(Stubborn()), forget, [], unscored, SEED, 32))
    assert Stubborn.batches[0].reference_logprob is None
    with pytest.raises(KeyError, match="logprob"):
        Unlearning(method(objective="npo"), forget, [], unscored, SEED, 32)


def test_what_a_weighting_is_given(sharp, forget, scored):
    """Layout, statistics at the starting model and hidden states that predict the tokens."""
    task = Unlearning(method(Stubborn(), "npo"), forget, [], scored, SEED, 32)
    model = copy.deepcopy(sharp)
    context = context_for(model)
    context.step = 7
    task.backward(np.array([2, 0]), context)
    (batch,) = Stubborn.batches
    order = sorted([2, 0], key=lambda row: len(forget[row]))
    lengths = [len(forget[row].answer) for row in order]
    assert batch.step == 7
    assert batch.n_sequences == 2
    assert batch.sequence.tolist() == [0] * lengths[0] + [1] * lengths[1]
    assert batch.lengths().tolist() == lengths
    assert batch.entropy == {}
    assert batch.static is None
    torch.testing.assert_close(batch.logprob, batch.reference_logprob, rtol=1e-4, atol=1e-4)
    targets = torch.tensor([token for row in order for token in forget[row].answer])
    predicting = batch.hidden_states[batch.sequence, batch.position]
    again = token_statistics(predicting, model.get_output_embeddings().weight.detach(), targets)
    torch.testing.assert_close(again.logprob, batch.logprob)


# --- ETW and gradient difference ----------------------------------------------------------------------------


def train_copy(model, task, **changes):
    model = copy.deepcopy(model)
    settings = {"epochs": 4, "batch_size": 2, "learning_rate": 1e-3, "warmup_epochs": 0.0, **changes}
    log = train(model, task, len(task.forget), TrainingConfig(**settings), SEED, gpus=0)
    return model, log


def test_constant_entropy_makes_etw_gradient_difference_step_for_step(monkeypatch, sharp, forget, retain, scored):
    tasks = {
        name: Unlearning(method(name, retain="nll"), forget, retain, scored, SEED, 32)
        for name in ("uniform", "entropy")
    }
    expected, log = train_copy(sharp, tasks["uniform"])
    _, other = train_copy(sharp, tasks["entropy"])
    assert abs(other["loss_forget"] - log["loss_forget"]).max() > 1e-4  # with true entropies they differ

    def constant(hidden, head, targets, temperatures=(), chunk=None):
        result = token_statistics(hidden, head, targets, temperatures, chunk)
        return TokenStatistics(result.logprob, {t: torch.full_like(h, 2.0) for t, h in result.entropy.items()})

    monkeypatch.setattr(lethe.unlearn, "token_statistics", constant)
    found, other = train_copy(sharp, tasks["entropy"])
    columns = ["loss_forget", "loss_retain", "weight_mean", "weight_std", "gradient_norm"]
    np.testing.assert_allclose(other[columns], log[columns], rtol=1e-5, atol=1e-6)
    for a, b in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_weights_are_those_of_the_current_model(sharp, forget, scored):
    """ETW's θ̂ follows the model: spread of the weights changes as training goes on, at one and the same row."""
    task = Unlearning(method("entropy"), forget[:1], [], scored, SEED, 32)
    _, log = train_copy(sharp, task, learning_rate=1e-2)
    assert abs(log["weight_std"].iloc[-1] - log["weight_std"].iloc[0]) > 0.1
    np.testing.assert_allclose(log["weight_mean"], 1, rtol=1e-5)


# --- order within a step ------------------------------------------------------------------------------------


def test_the_forget_graph_is_freed_before_the_retain_pass(sharp, forget, retain, scored):
    model = copy.deepcopy(sharp)
    task = Unlearning(method("entropy", "npo", "nll"), forget, retain, scored, SEED, 32)
    events, activations = [], []

    def before(module, arguments):
        events.append("forward")
        assert all(kept() is None for kept in activations), "activations of an earlier pass are still alive"
        activations.clear()

    def after(module, arguments, output):
        assert activations[0]() is not None  # kept for the backward pass, so the check above can fail

    model.base_model.register_forward_pre_hook(before)
    model.base_model.register_forward_hook(after)
    model.base_model.layers[0].mlp.down_proj.register_forward_pre_hook(
        lambda module, arguments: activations.append(weakref.ref(arguments[0]))
    )
    model.base_model.norm.weight.register_hook(lambda gradient: events.append("backward"))
    task.backward(np.arange(4), context_for(model, micro_batch_size=2))
    assert events == ["forward", "backward"] * 4  # two forget passes, two retain passes, none of them twice


def test_the_models_own_head_is_never_run(sharp, forget, retain, scored):
    """It would make logits of every position."""
    model = copy.deepcopy(sharp)

    def refuse(*_):
        raise AssertionError("lm_head was called")

    model.get_output_embeddings().register_forward_pre_hook(refuse)
    task = Unlearning(method("entropy", "ascent", "nll"), forget, retain, scored, SEED, 32)
    task.backward(np.arange(4), context_for(model))


def test_no_retain_rows_are_drawn_without_a_retain_term(monkeypatch, sharp, forget, scored):
    monkeypatch.setattr(lethe.unlearn, "retain_draws", None)
    values, _ = step(sharp, Unlearning(method(), forget, [], scored, SEED, 32))
    assert set(values) == {"loss_forget", "weight_mean", "weight_std"}


# --- strengths ----------------------------------------------------------------------------------------------


def test_strengths_scale_their_side_of_the_gradient(sharp, forget, retain, scored):
    def gradients(strength, retain_strength):
        chosen = method("entropy", retain="nll", strength=strength, retain_strength=retain_strength)
        return step(sharp, Unlearning(chosen, forget, retain, scored, SEED, 32))

    values, both = gradients(0.3, 2.0)
    forget_values, forget_only = gradients(1.0, 0.0)
    _, retain_only = gradients(0.0, 1.0)
    combined = {name: 0.3 * forget_only[name] + 2.0 * retain_only[name] for name in both}
    assert largest_difference(both, combined) < 1e-5
    assert values == forget_values  # the log shows the losses themselves, not their share of the sum


# --- the starting model as reference ------------------------------------------------------------------------


def test_kl_is_flat_at_the_starting_model(sharp, forget, retain, scored, stored):
    nll, kl = (
        step(sharp, Unlearning(method(retain=term, strength=0.0), forget, retain, scored, SEED, 32, stored))
        for term in ("nll", "kl")
    )
    assert kl[0]["loss_retain"] == pytest.approx(0, abs=1e-6)
    scale = max(float(g.abs().max()) for g in nll[1].values())
    assert max(float(g.abs().max()) for g in kl[1].values()) < 1e-4 * scale


def test_kl_holds_the_model_back(sharp, forget, retain, scored, stored):
    """And its value is that of two models side by side, in float64."""
    task = Unlearning(method(retain="kl"), forget, retain, scored, SEED, 32, stored)
    moved, log = train_copy(sharp, Unlearning(method(), forget, [], scored, SEED, 32), learning_rate=1e-2)
    values, _ = step(moved, task)
    rows = [retain[row] for row in retain_draws(len(retain), SEED, 0, 0, 0, 4)]
    kl = []
    for row in rows:
        start, now = (logits_of(copy.deepcopy(m).double(), row).log_softmax(-1) for m in (sharp, moved))
        kl.append((start.exp() * (start - now)).sum(-1))
    assert values["loss_retain"] == pytest.approx(torch.cat(kl).mean().item(), rel=1e-3)
    assert values["loss_retain"] > 0.01
    _, held = train_copy(sharp, task, learning_rate=1e-2)
    assert held["loss_forget"].iloc[-1] > log["loss_forget"].iloc[-1]  # less forgotten than without


def test_reference_holds_the_states_that_predict_the_tokens(sharp, retain, stored):
    assert set(stored.hidden) == {row.sample for row in retain}
    for row in retain:
        found = (stored.hidden[row.sample] @ stored.head.T).log_softmax(-1)
        expected = logits_of(sharp, row).detach().log_softmax(-1)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_reference_survives_a_round_trip(tmp_path, stored):
    path = tmp_path / "new" / "reference.safetensors"
    reference.save(stored, path)
    again = reference.read(path)
    assert torch.equal(again.head, stored.head)
    assert list(again.hidden) == sorted(stored.hidden)
    assert all(torch.equal(again.hidden[sample], states) for sample, states in stored.hidden.items())
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing half-written is left behind


def test_reference_does_not_follow_the_model(sharp, retain):
    """It is a snapshot: training the very model that it was made from must not move it."""
    model = copy.deepcopy(sharp)
    snapshot = reference.compute(model, retain[:1], None)
    head = snapshot.head.clone()
    with torch.no_grad():
        model.get_output_embeddings().weight.add_(1)
    assert torch.equal(snapshot.head, head)


# --- the token table ----------------------------------------------------------------------------------------


def shuffled(table: pd.DataFrame) -> pd.DataFrame:
    """Rows in random order under an index that says nothing."""
    return table.sample(frac=1, random_state=5)


def test_static_columns_follow_their_tokens(sharp, forget, scored):
    """A table in any order gives the same gradients, and the weights of a token are that token's."""
    ordered, mixed = (
        Unlearning(method("spans", "npo"), forget, [], table, SEED, 32) for table in (scored, shuffled(scored))
    )
    for i, row in enumerate(forget):
        own = scored[scored["sample"] == row.sample]
        informative = own["informative_gold"].to_numpy(dtype=float)
        expected = informative * len(own) / informative.sum()
        np.testing.assert_allclose(ordered.static[i], expected, rtol=1e-6)
        np.testing.assert_array_equal(mixed.static[i], ordered.static[i])
        np.testing.assert_array_equal(mixed.start_logprob[i], ordered.start_logprob[i])
    assert largest_difference(step(sharp, mixed)[1], step(sharp, ordered)[1]) == 0


def test_static_weights_reach_the_loss(sharp, forget, scored):
    task = Unlearning(method("spans"), forget, [], scored, SEED, 32)
    values, found = step(sharp, task, micro_batch_size=1)
    by_sample = {row.sample: task.static[i].double() for i, row in enumerate(forget)}
    loss, expected = by_hand(sharp, task, lambda logits, row: by_sample[row.sample])
    assert values["loss_forget"] == pytest.approx(loss, rel=1e-4)
    assert largest_difference(found, expected) < 1e-4


def test_a_table_of_another_tokenizer_is_refused(forget, scored):
    other = scored.assign(token_id=(scored["token_id"] + 1) % 300)
    with pytest.raises(InputError, match=r"sample full-0044 is missing or has other tokens .* rebuild the table"):
        Unlearning(method(), forget, [], other, SEED, 32)
    with pytest.raises(InputError, match="sample full-0047"):
        Unlearning(method(), forget, [], scored[scored["sample"] != "full-0047"], SEED, 32)
    with pytest.raises(InputError, match="sample full-0044"):
        Unlearning(method(), forget, [], scored.drop(index=3), SEED, 32)


@pytest.mark.parametrize("weighting", [*WEIGHTINGS, {"entropy": {"temperature": 2.0}}, {"confidence": {"exponent": 3}}])
def test_weights_at_start_are_those_of_the_first_batch(weighting, sharp, forget, scored):
    chosen = method(weighting)
    task = Unlearning(chosen, forget, [], scored, SEED, 32)
    weigh, collected = task.weigh, {}

    def listen(batch):
        weights = weigh(batch)
        collected[len(collected)] = weights
        return weights

    task.weigh = listen
    step(sharp, task, micro_batch_size=1)
    order = sorted(range(len(forget)), key=lambda i: len(forget[i]))  # as micro-batches are formed
    table = scored.assign(weight=weights_at_start(chosen, scored, SEED))
    for number, i in enumerate(order):
        stored = table.loc[table["sample"] == forget[i].sample, "weight"]
        np.testing.assert_allclose(collected[number], stored, rtol=1e-4, atol=1e-5)
    if weighting != "uniform":
        assert table["weight"].std() > 1e-4


@pytest.mark.parametrize("weighting", ["uniform", "confidence", "entropy", "spans"])
def test_weights_at_start_follow_their_rows(weighting, scored):
    mixed = shuffled(scored)
    expected = pd.Series(weights_at_start(method(weighting), scored, SEED), index=scored.index)
    np.testing.assert_allclose(weights_at_start(method(weighting), mixed, SEED), expected[mixed.index], rtol=1e-12)
