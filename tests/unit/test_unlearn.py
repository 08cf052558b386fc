"""A method's three parts at work: gradients of a step against float64, order, strengths, alignment, starting model."""

import copy
import weakref

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from scorer import LinearScore

import lethe.training.unlearn
from lethe.benchmarks.refusals import LINES, refuse
from lethe.config import MethodConfig, TrainingConfig
from lethe.errors import InputError
from lethe.methods.contract import Weighting
from lethe.methods.forms import Variance
from lethe.methods.kernel import TokenStatistics, token_statistics
from lethe.objectives import OBJECTIVES
from lethe.retain import RETAIN_TERMS
from lethe.tokens.score import score_table
from lethe.tokens.tokenise import token_table
from lethe.tokens.weigh import weights_at_start
from lethe.training import reference
from lethe.training.loop import Context, FineTuning, train
from lethe.training.reference import Reference, Refusals, Starting
from lethe.training.unlearn import Unlearning, retain_draws, save_weigher
from lethe.weightings import SCALES, SCORES, WEIGHTINGS, Scored
from lethe.weightings.scales.normalised import Normalised

SEED = 3
# The tiny model has two layers, of which a method can read the first.
OBJECTIVE_CHOICES = [{"rmu": {"layer": 0}} if name == "rmu" else name for name in OBJECTIVES]
RETAIN_CHOICES = [{"embed_diff": {"layer": 0}} if name == "embed_diff" else name for name in RETAIN_TERMS]
WEIGHTING_CHOICES = [{"spread": {"form": "variance"}} if name.endswith("spread") else name for name in WEIGHTINGS]


def method(weighting="uniform", objective="ascent", retain="none", **strengths) -> MethodConfig:
    return MethodConfig(weighting=weighting, objective=objective, retain=retain, **strengths)


@pytest.fixture(scope="module")
def forget(data, encoder):
    return encoder.examples(data.forget("forget10"))


@pytest.fixture(scope="module")
def retain(data, encoder):
    return encoder.examples(data.retain("forget10")[:10])


@pytest.fixture(scope="module")
def stored(sharp, retain) -> Reference:
    return reference.compute(sharp, retain, None)


@pytest.fixture(scope="module")
def everything(scored, sharp, encoder, data):
    """The token table with a column for every weighting; what a parser would say is made up."""
    table = score_table(
        sharp,
        encoder,
        data.forget("forget10"),
        scored.drop(columns=["logprob", "entropy_T1.0", "entropy_T2.0"]),
        [1.0, 2.0],
        None,
        (Variance(),),
    )
    generator = np.random.default_rng(0)
    return table.assign(
        pos=generator.choice(["NOUN", "VERB", "DET"], len(table)),
        noun_chunk=generator.random(len(table)) < 0.5,
        entity=generator.random(len(table)) < 0.3,
        mutual_information=generator.random(len(table)),
    )


@pytest.fixture(scope="module")
def teacher(sharp):
    """A starting model that is not the one that is trained, so that comparing with it says something."""
    model = copy.deepcopy(sharp)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * p.abs().mean() * torch.randn(p.shape, generator=generator))
    return model


@pytest.fixture(scope="module")
def knowing(tiny, forget):
    """A model that has learned the forget rows: one that has not leaves some objectives nothing to do."""
    model = copy.deepcopy(tiny[0])
    settings = TrainingConfig(epochs=60, batch_size=4, learning_rate=1e-2, warmup_epochs=0.0)
    train(model, FineTuning(forget), len(forget), settings, SEED, gpus=0)
    return model


@pytest.fixture(scope="module")
def known(knowing, encoder, data):
    """The token table under `knowing`."""
    rows = data.forget("forget10")
    return score_table(knowing, encoder, rows, token_table(encoder, rows), [1.0], None)


def refusals_of(data, encoder, model) -> Refusals:
    rows = refuse(data.forget("forget10"), LINES, 0)
    table = score_table(model, encoder, rows, token_table(encoder, rows), [], None)
    return Refusals(encoder.examples(rows), table)


@pytest.fixture(scope="module")
def starting(sharp, forget, retain, data, encoder):
    """`retain term -> Starting`, all made with the model that is trained."""
    refusals = refusals_of(data, encoder, sharp)
    return lambda term: starting_of(sharp, term, forget, retain, refusals)


@pytest.fixture(scope="module")
def taught(teacher, forget, retain, data, encoder):
    """What is kept of a starting model that is not the one that is trained."""
    return starting_of(teacher, "nll", forget, retain, refusals_of(data, encoder, teacher))


def starting_of(model, term, forget, retain, refusals) -> Starting:
    layer = 0 if isinstance(term, dict) else None
    return Starting(
        retain=reference.compute(model, retain, None, layer),
        forget=reference.compute(model, forget, None),
        refusals=refusals,
    )


def context_for(model, micro_batch_size=None) -> Context:
    return Context(model, TrainingConfig(batch_size=4, micro_batch_size=micro_batch_size), gpus=0)


def begun(task, model, micro_batch_size=None) -> Context:
    """A context in which the task has begun."""
    context = context_for(model, micro_batch_size)
    task.begin(context)
    return context


def step(model, task, micro_batch_size=None) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Values and gradients of one step over all forget rows; the model's weights stay as they are."""
    model = copy.deepcopy(model)
    values = task.backward(np.arange(len(task.forget)), begun(task, model, micro_batch_size))
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


def state_of(model, example) -> torch.Tensor:
    """[n, H] what the first decoder layer puts out where a row's answer tokens are predicted."""
    seen = []
    handle = model.model.layers[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    logits_of(model, example)
    handle.remove()
    first = len(example.prompt) - 1
    return seen[0].reshape(-1, seen[0].shape[-1])[first : first + len(example.answer)]


def control_vector(steering=2.0) -> torch.Tensor:
    direction = torch.rand(32, generator=torch.Generator().manual_seed(SEED)).double()
    return steering * direction / direction.norm()


def forget_loss(objective, model, teacher, task, i, weights) -> torch.Tensor:
    """One row's loss, before it is divided by the rows or tokens of the step: the papers' formulas."""
    row, log_sigmoid = task.forget[i], torch.nn.functional.logsigmoid
    logits = logits_of(model, row)
    s = -(weights * log_probability(logits, row)).sum()
    s0 = None if task.start_logprob is None else -(weights * task.start_logprob[i].double()).sum()
    match objective:
        case "ascent":
            return -s
        case "npo":
            return -2 / 0.1 * log_sigmoid(0.1 * (s - s0))
        case "simnpo":
            return -2 / 4.5 * log_sigmoid(4.5 * s / len(weights))
        case "idk_dpo":
            refusal = task.starting.refusals.examples[i]
            won = log_probability(logits_of(model, refusal), refusal).sum()
            won0 = log_probability(logits_of(teacher, refusal), refusal).sum().detach()
            return -2 / IDK_BETA * log_sigmoid(IDK_BETA * ((won - won0) + (s - s0)))
        case "undial":
            soft = logits_of(teacher, row).detach()
            soft[torch.arange(len(weights)), row.answer] -= 10.0
            q = soft.softmax(-1)
            return (weights * (q * (soft.log_softmax(-1) - logits.log_softmax(-1))).sum(-1)).sum()
        case "rmu":
            distance = (state_of(model, row) - control_vector()).square().mean(-1)
            return (weights * distance).sum() / len(weights)
    raise AssertionError(objective)


def by_hand(model, task, weigh, objective="ascent", teacher=None, detach=True):
    """Loss and gradients of a step in float64 from the formulas, one row at a time, no kernel, no batching."""
    model = copy.deepcopy(model).double()
    teacher = copy.deepcopy(teacher).double() if teacher is not None else None
    total = 0.0
    units = len(task.forget) if objective in PER_SEQUENCE else sum(len(r.answer) for r in task.forget)
    for i, row in enumerate(task.forget):
        weights = weigh(logits_of(model, row), row)
        weights = weights.detach() if detach else weights
        total = total + forget_loss(objective, model, teacher, task, i, weights) / units
    loss_forget = total.item()
    total = task.method.strength * total
    if task.method.retain.rows:
        rows = retain_draws(len(task.retain), SEED, 0, 0, 0, len(task.forget))
        examples = [task.retain[row] for row in rows]
        nll = -sum(log_probability(logits_of(model, e), e).sum() for e in examples)
        total = total + task.method.retain_strength * nll / sum(len(e.answer) for e in examples)
    total.backward()
    zero = torch.zeros((), dtype=torch.float64)
    return loss_forget, {n: zero.expand_as(p) if p.grad is None else p.grad for n, p in model.named_parameters()}


IDK_BETA = 0.01  # at 0.1 the preference is saturated here, and the forget side has no say
PER_SEQUENCE = {"npo", "simnpo", "idk_dpo", "rmu"}
WEIGH = {
    "uniform": lambda logits, row: torch.ones(len(logits), dtype=logits.dtype),
    "confidence": lambda logits, row: log_probability(logits, row).exp(),
    "satimp": lambda logits, row: log_probability(logits, row).exp() ** 5 * (1 - log_probability(logits, row).exp()),
    "entropy": lambda logits, row: entropy_weights(logits, 1.0),
}


@pytest.mark.parametrize("micro_batch_size", [None, 3])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("weighting", WEIGH)
def test_a_step_equals_float64(weighting, objective, micro_batch_size, knowing, teacher, taught, forget, retain, known):
    """Of every objective, in one batch and in several; the starting model is another than the one that is trained."""
    shift = np.random.default_rng(0).normal(0, 0.5, len(known))
    known = known.assign(logprob=(known["logprob"] + shift).astype("float32"))
    configured = {"rmu": {"rmu": {"layer": 0}}, "idk_dpo": {"idk_dpo": {"beta": IDK_BETA}}}.get(objective, objective)
    chosen = method(weighting, configured, "nll", strength=3.0, retain_strength=0.005)
    task = Unlearning(chosen, forget, retain, known, SEED, 32, taught)
    values, found = step(knowing, task, micro_batch_size)
    loss, expected = by_hand(knowing, task, WEIGH[weighting], objective, teacher)
    assert values["loss_forget"] == pytest.approx(loss, rel=1e-4)
    assert largest_difference(found, expected) < 1e-4
    task.method = chosen.model_copy(update={"strength": 0.0})
    assert largest_difference(step(knowing, task)[1], expected) > 1e-2  # the forget side has a say in the gradient


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

    def start(self, run):
        Stubborn.scale, Stubborn.batches = torch.nn.Parameter(torch.tensor(1.5)), []
        return self

    def weights(self, batch):
        Stubborn.batches.append(batch)
        return Stubborn.scale * torch.ones_like(batch.logprob)


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
    context = begun(task, model)
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

    def constant(hidden, head, targets, temperatures=(), chunk=None, forms=()):
        result = token_statistics(hidden, head, targets, temperatures, chunk, forms)
        return TokenStatistics(result.logprob, {t: torch.full_like(h, 2.0) for t, h in result.entropy.items()}, {})

    monkeypatch.setattr(lethe.training.unlearn, "token_statistics", constant)
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
    task.backward(np.arange(4), begun(task, model, micro_batch_size=2))
    assert events == ["forward", "backward"] * 4  # two forget passes, two retain passes, none of them twice


def test_the_models_own_head_is_never_run(sharp, forget, retain, scored):
    """It would make logits of every position."""
    model = copy.deepcopy(sharp)

    def refuse(*_):
        raise AssertionError("lm_head was called")

    model.get_output_embeddings().register_forward_pre_hook(refuse)
    task = Unlearning(method("entropy", "ascent", "nll"), forget, retain, scored, SEED, 32)
    task.backward(np.arange(4), begun(task, model))


def test_no_retain_rows_are_drawn_without_a_retain_term(monkeypatch, sharp, forget, scored):
    monkeypatch.setattr(lethe.training.unlearn, "retain_draws", None)
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
        step(sharp, Unlearning(method(retain=term, strength=0.0), forget, retain, scored, SEED, 32, Starting(stored)))
        for term in ("nll", "kl")
    )
    assert kl[0]["loss_retain"] == pytest.approx(0, abs=1e-6)
    scale = max(float(g.abs().max()) for g in nll[1].values())
    assert max(float(g.abs().max()) for g in kl[1].values()) < 1e-4 * scale


def test_kl_holds_the_model_back(sharp, forget, retain, scored, stored):
    """And its value is that of two models side by side, in float64."""
    task = Unlearning(method(retain="kl"), forget, retain, scored, SEED, 32, Starting(retain=stored))
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


def test_embed_diff_is_flat_at_the_starting_model_and_holds_a_layer(sharp, forget, retain, scored, starting):
    term = {"embed_diff": {"layer": 0}}
    chosen = method({"uniform": {}}, {"rmu": {"layer": 0}}, term)
    task = Unlearning(chosen, forget, retain, scored, SEED, 32, starting(term))
    values, _ = step(sharp, task)
    assert values["loss_retain"] == pytest.approx(0, abs=1e-9)
    moved, _ = train_copy(sharp, Unlearning(method(), forget, [], scored, SEED, 32), learning_rate=1e-2)
    values, _ = step(moved, task)
    rows = [retain[row] for row in retain_draws(len(retain), SEED, 0, 0, 0, 4)]
    start, now = (torch.cat([state_of(model, row) for row in rows]).detach().double() for model in (sharp, moved))
    assert values["loss_retain"] == pytest.approx((now - start).square().mean().item(), rel=1e-4)
    assert values["loss_retain"] > 1e-6


# --- every objective with every weighting -------------------------------------------------------------------


# Weightings and objectives meet in test_objectives.py; here each part meets the loop, not each combination.
METHODS = [
    *(("entropy", objective, term) for objective in OBJECTIVE_CHOICES for term in RETAIN_CHOICES),
    *((weighting, "ascent", "nll") for weighting in WEIGHTING_CHOICES),
]


@pytest.mark.parametrize(("weighting", "objective", "retain_term"), METHODS, ids=str)
def test_every_part_trains(weighting, objective, retain_term, sharp, forget, retain, everything, starting):
    """Two steps, with everything that it needs of the starting model and nothing else."""
    kept = starting(retain_term)
    chosen = method(weighting, objective, retain_term, strength=0.1)
    needed = Starting(
        retain=kept.retain if chosen.retain.reference else None,
        forget=kept.forget if chosen.objective.teacher else None,
        refusals=kept.refusals if chosen.objective.refusals else None,
    )
    task = Unlearning(chosen, forget, retain, everything, SEED, 32, needed)
    model, log = train_copy(sharp, task, epochs=1, micro_batch_size=1, learning_rate=1e-3)
    assert len(log) == 2
    assert np.isfinite(log.drop(columns=["seconds", "peak_mib"])).all(axis=None)
    assert ("loss_retain" in log) == chosen.retain.rows
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert any((a != b).any() for a, b in zip(model.parameters(), sharp.parameters(), strict=True))


@pytest.mark.parametrize("objective", OBJECTIVE_CHOICES, ids=str)
def test_micro_batches_give_the_gradient_of_one_batch(objective, knowing, forget, retain, known, starting):
    term = {"embed_diff": {"layer": 0}}
    task = Unlearning(method("entropy", objective, term), forget, retain, known, SEED, 32, starting(term))
    one, expected = step(knowing, task)
    for micro_batch_size in (1, 3):
        many, found = step(knowing, task, micro_batch_size)
        assert many == pytest.approx(one, rel=1e-5, abs=1e-6)
        used = {name: gradient for name, gradient in expected.items() if gradient is not None}
        assert largest_difference(found, used) < 1e-5
        assert {name for name, gradient in found.items() if gradient is not None} == set(used)


def answer_logprob(model, rows) -> float:
    """Mean log-probability of the answer tokens, nats."""
    with torch.no_grad():
        return float(torch.cat([log_probability(logits_of(model, row), row) for row in rows]).mean())


def unlearned(objective, sharp, forget, scored, kept, **changes):
    task = Unlearning(method("uniform", objective), forget, [], scored, SEED, 32, kept)
    settings = {"epochs": 8, "learning_rate": 3e-3, **changes}
    return train_copy(sharp, task, **settings)


def test_rmu_moves_the_layer_towards_the_control_vector_and_leaves_those_above(sharp, forget, scored):
    model, log = unlearned({"rmu": {"layer": 0}}, sharp, forget, scored, None, epochs=30)

    def distance(model):
        return (torch.cat([state_of(model, row) for row in forget]).detach() - control_vector()).square().mean().item()

    assert log["loss_forget"].iloc[-1] < 0.5 * log["loss_forget"].iloc[0]
    assert distance(model) < 0.5 * distance(sharp)
    above = sharp.model.layers[1].state_dict()
    for name, values in model.model.layers[1].state_dict().items():
        assert torch.equal(values, above[name])


def test_rmu_draws_its_direction_from_the_seed(sharp, forget, scored):
    losses = {
        seed: step(sharp, Unlearning(method(objective={"rmu": {"layer": 0}}), forget, [], scored, seed, 32))[0]
        for seed in (SEED, SEED, SEED + 1)
    }
    assert losses[SEED] != losses[SEED + 1]
    again, _ = step(sharp, Unlearning(method(objective={"rmu": {"layer": 0}}), forget, [], scored, SEED, 32))
    assert again == losses[SEED]


def test_undial_lowers_the_gold_probabilities(knowing, forget, known):
    kept = Starting(forget=reference.compute(knowing, forget, None))
    model, log = unlearned("undial", knowing, forget, known, kept)
    assert answer_logprob(model, forget) < answer_logprob(knowing, forget) - 0.5
    assert log["loss_forget"].iloc[-1] < log["loss_forget"].iloc[0]


def test_idk_dpo_raises_the_refusal_and_lowers_the_answer(knowing, forget, known, data, encoder):
    kept = Starting(refusals=refusals_of(data, encoder, knowing))
    model, _ = unlearned("idk_dpo", knowing, forget, known, kept)
    refusals = kept.refusals.examples
    assert answer_logprob(model, refusals) > answer_logprob(knowing, refusals) + 0.5
    assert answer_logprob(model, forget) < answer_logprob(knowing, forget) - 0.5


def test_idk_dpo_starts_at_even_odds(sharp, forget, scored, starting):
    """−(2/β) ln σ(0) at the starting model: refusals and their stored log-probabilities belong together."""
    kept = Starting(refusals=starting("none").refusals)
    values, _ = step(sharp, Unlearning(method(objective="idk_dpo"), forget, [], scored, SEED, 32, kept))
    assert values["loss_forget"] == pytest.approx(20 * np.log(2), rel=1e-4)


def test_simnpo_lowers_the_answers(knowing, forget, known):
    model, _ = unlearned("simnpo", knowing, forget, known, None)
    assert answer_logprob(model, forget) < answer_logprob(knowing, forget) - 0.5


def test_refusals_of_another_tokenizer_are_refused(forget, scored, starting):
    kept = starting("none").refusals
    other = Refusals(kept.examples, kept.table.assign(token_id=kept.table["token_id"] + 1))
    with pytest.raises(InputError, match="other tokens"):
        Unlearning(method(objective="idk_dpo"), forget, [], scored, SEED, 32, Starting(refusals=other))


# --- weights looked at --------------------------------------------------------------------------------------

KEY = ["sample", "position", "token_id"]
STATIC = {"column": {"name": "mutual_information"}}
PARAMETERS = {"spread": {"form": "variance"}, **STATIC}


@pytest.mark.parametrize("micro_batch_size", [None, 1])
@pytest.mark.parametrize("weighting", WEIGHTING_CHOICES, ids=str)
def test_weights_of_the_starting_model_are_those_of_the_table(weighting, micro_batch_size, sharp, forget, everything):
    chosen = method(weighting)
    task = Unlearning(chosen, forget, [], everything, SEED, 32)
    found = task.weights(begun(task, copy.deepcopy(sharp), micro_batch_size))
    assert list(found.columns) == [*KEY, "logprob", "weight"]
    assert found["position"].dtype == found["token_id"].dtype == "int32"
    expected = everything.assign(weight=weights_at_start(chosen.weighting, everything, SEED))
    both = found.merge(expected, on=KEY, suffixes=("", "_table"), validate="one_to_one")
    assert len(both) == len(found) == len(everything)
    np.testing.assert_allclose(both["weight"], both["weight_table"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(both["logprob"], both["logprob_table"], rtol=1e-4, atol=1e-4)


def test_looking_at_weights_changes_nothing(sharp, forget, everything):
    model = copy.deepcopy(sharp)
    task = Unlearning(method("entropy"), forget, [], everything, SEED, 32)
    context = begun(task, model)
    state, numpy_state = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002
    with torch.no_grad():
        task.weights(context)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])  # noqa: NPY002
    for a, b in zip(model.parameters(), sharp.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.grad is None


@pytest.mark.parametrize("weighting", ["entropy", "confidence", "random"])
def test_a_run_that_records_weights_is_bit_for_bit_the_run_that_does_not(
    weighting, sharp, forget, retain, everything, starting
):
    def run(record):
        task = Unlearning(method(weighting, "npo", "kl"), forget, retain, everything, SEED, 32, starting("kl"))
        recorded = []
        model = copy.deepcopy(sharp)
        settings = TrainingConfig(epochs=3, batch_size=2, learning_rate=1e-3, warmup_epochs=0.0)
        look = (lambda context, epoch: recorded.append(task.weights(context))) if record else None
        log = train(model, task, len(forget), settings, SEED, gpus=0, at_epoch=look)
        return model, log.drop(columns=["seconds", "peak_mib"]), recorded

    plain, log, _ = run(record=False)
    watched, other, recorded = run(record=True)
    pd.testing.assert_frame_equal(log, other, check_exact=True)
    for a, b in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(a, b)
    assert len(recorded) == 4
    at_start = everything.assign(weight=weights_at_start(method(weighting).weighting, everything, SEED))
    first = recorded[0].merge(at_start, on=KEY, suffixes=("", "_table"), validate="one_to_one")
    np.testing.assert_allclose(first["weight"], first["weight_table"], rtol=1e-4, atol=1e-5)
    assert abs(recorded[-1]["logprob"] - recorded[0]["logprob"]).max() > 0.01  # under the model of that epoch


def test_a_learned_weighting_is_told_that_it_is_only_looked_at(sharp, forget, scored):
    task = Unlearning(method(Stubborn()), forget, [], scored, SEED, 32)
    context = begun(task, copy.deepcopy(sharp))
    task.backward(np.arange(4), context)
    with torch.no_grad():
        table = task.weights(context)
    assert [batch.training for batch in Stubborn.batches] == [True, False]
    assert (table["weight"] == 1.5).all()


def test_processes_share_the_rows(monkeypatch, sharp, forget, everything):
    """Each looks at its own part; together they have every token once."""
    task = Unlearning(method("entropy"), forget[:3], [], everything, SEED, 32)
    context = begun(task, copy.deepcopy(sharp))
    whole = task.weights(context).sort_values(KEY, ignore_index=True)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(Context, "rank", rank)
        monkeypatch.setattr(Context, "world", 2)
        monkeypatch.setattr(Context, "gather", lambda self, values: parts.extend(values) or values)
        task.weights(context)
    assert len(parts) == 2
    pd.testing.assert_frame_equal(pd.concat(parts).sort_values(KEY, ignore_index=True), whole, rtol=1e-5, atol=1e-6)


# --- learned weightings -------------------------------------------------------------------------------------


def test_a_learner_learns_logs_records_and_is_kept(sharp, forget, scored, tmp_path):
    looks = []
    task = Unlearning(method(LinearScore()), forget, [], scored, SEED, 32)
    settings = TrainingConfig(epochs=3, batch_size=4, micro_batch_size=2, learning_rate=1e-3, warmup_epochs=0.0)
    look = lambda context, epoch: looks.append((task.weights(context), copy.deepcopy(task.weigher.state())))  # noqa: E731
    log = train(copy.deepcopy(sharp), task, len(forget), settings, SEED, gpus=0, at_epoch=look)
    assert log["score_mean"].iloc[0] == pytest.approx(0.5, abs=1e-6)
    assert log["score_bias"].abs().min() > 1e-3
    assert log["score_mean"].iloc[-1] < 0.5
    at_start = weights_at_start(LinearScore(), scored, SEED)
    np.testing.assert_array_equal(looks[0][0]["weight"], at_start)
    for table, state in looks:
        np.testing.assert_allclose(table["weight"], 1 / (1 + np.exp(-table["score"])), rtol=1e-5)
        assert state["bias"].shape == (1,)
    assert (looks[0][0]["weight"] == 0.5).all()
    assert looks[-1][0]["weight"].std() > 1e-4
    assert task.weigher.run.steps == 3
    save_weigher(task.weigher, tmp_path / "weighting.safetensors")
    kept = load_file(tmp_path / "weighting.safetensors")
    assert {name: value.tolist() for name, value in kept.items()} == {
        name: value.tolist() for name, value in task.weigher.state().items()
    }


def test_what_learns_nothing_keeps_nothing(tmp_path):
    save_weigher(method("entropy").weighting, tmp_path / "weighting.safetensors")
    assert load_file(tmp_path / "weighting.safetensors") == {}


def test_looking_does_not_teach(sharp, forget, scored):
    task = Unlearning(method(LinearScore()), forget, [], scored, SEED, 32)
    context = begun(task, copy.deepcopy(sharp))
    task.backward(np.arange(4), context)
    before = copy.deepcopy(task.weigher.state())
    with torch.no_grad():
        first, again = task.weights(context), task.weights(context)
    pd.testing.assert_frame_equal(first, again)
    assert all(torch.equal(before[name], value) for name, value in task.weigher.state().items())


def test_a_learner_steps_before_the_weights_of_the_last_micro_batch(sharp, forget, scored, listen):
    task = Unlearning(method(LinearScore()), forget, [], scored, SEED, 32)
    heard = listen(task)
    task.begin(context := context_for(copy.deepcopy(sharp), 2))
    task.weigher.learn, task.weigher.update = task.weigher.weigher.learn, task.weigher.weigher.update
    task.backward(np.arange(4), context)
    assert (heard[0] == 0.5).all()  # where the scorer starts
    assert (heard[1] != 0.5).all()


class Curious(Weighting):
    """Uniform weights; asks at every micro-batch what the objective makes of them."""

    reference = True

    def start(self, run):
        Curious.heard = []
        return self

    def learn(self, batch, forget_loss):
        weights = torch.ones_like(batch.logprob).requires_grad_()
        loss = forget_loss(weights)
        loss.backward()
        Curious.heard.append((loss.item(), weights.grad, batch))

    def weights(self, batch):
        return torch.ones_like(batch.logprob)


@pytest.mark.parametrize("objective", OBJECTIVE_CHOICES, ids=str)
def test_a_learner_shares_the_objective_and_leaves_the_model_alone(objective, knowing, forget, retain, known, starting):
    kept = starting("none")
    plain, expected = step(knowing, Unlearning(method("uniform", objective), forget, [], known, SEED, 32, kept), 3)
    task = Unlearning(method(Curious(), objective, strength=2.0), forget, [], known, SEED, 32, kept)
    values, found = step(knowing, task, 3)
    assert values == plain
    for name, gradient in expected.items():
        assert (found[name] is None) == (gradient is None)
        if gradient is not None:
            torch.testing.assert_close(found[name], 2 * gradient, rtol=1e-6, atol=0)
    losses, gradients, batches = zip(*Curious.heard, strict=True)
    assert sum(losses) == pytest.approx(plain["loss_forget"], rel=1e-5, abs=1e-7)  # the strength is not in it
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients)
    assert [(batch.micro_batch, batch.micro_batches) for batch in batches] == [(0, 2), (1, 2)]
    tokens = sum(len(row.answer) for row in forget)
    assert {(batch.step_tokens, batch.step_sequences) for batch in batches} == {(tokens, len(forget))}
    if objective == "ascent":
        for gradient, batch in zip(gradients, batches, strict=True):
            torch.testing.assert_close(gradient, batch.logprob / tokens)


def test_a_learned_score_learns_through_its_scale(sharp, forget, scored):
    """By central differences: what reaches the scorer is the derivative of the loss of the scaled weights."""
    Linear = Scored.model_construct(score=LinearScore(), scale=Normalised())
    task = Unlearning(method().model_copy(update={"weighting": Linear}), forget, [], scored, SEED, 32)
    context = begun(task, copy.deepcopy(sharp))
    _, batch = task._forward(np.arange(4), context, step_tokens=1, step_sequences=1)
    (bias,) = (p for p in task.weigher.parameters() if p.shape == (1,))
    (weight,) = (p for p in task.weigher.parameters() if p.shape != (1,))
    task.weigher.score.weighting = LinearScore(budget=0.5)  # its gradient is 0 at the start
    task.weigher.learn(batch, lambda weights: (weights * batch.logprob).sum())
    found, h = weight.grad[0].clone(), 1e-2
    for i in (0, 7):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[0, i] = sign * h
                values.append((task.weigher.weights(batch) * batch.logprob).sum().double().item())
                weight[0, i] = 0
        assert found[i].item() == pytest.approx(0.01 * (values[0] - values[1]) / (2 * h), rel=0.02, abs=1e-5)
    assert bias.grad.item() == pytest.approx(0, abs=1e-5)  # the scale divides a common factor out


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


class Hybrid(Weighting):
    """Known in part before training: a mask, times the confidence of now."""

    def columns(self):
        return ("informative_gold",)

    def column(self, table, seed):
        return 300 * table["informative_gold"].to_numpy(float)

    def weights(self, batch):
        return batch.static * batch.logprob.exp()


# Every weighting and every score with a scale, and every scale with a score.
KINDS = [
    *WEIGHTING_CHOICES,
    {"entropy": {"temperature": 2.0}},
    {"confidence": {"exponent": 3}},
    Hybrid(),
    *({"score": score, "scale": scale} for score in ("entropy", STATIC) for scale in SCALES if scale != "top_of_table"),
    *({"score": {name: PARAMETERS.get(name, {})}, "scale": "top"} for name in SCORES),
    {"score": STATIC, "scale": "top_of_table"},
]
FLAT = ("uniform", "tnpo", {"score": {"tnpo": {}}, "scale": "normalised"})  # tnpo: all 1 at the start


@pytest.mark.parametrize("weighting", KINDS, ids=str)
def test_weights_at_start_are_those_of_the_first_batch(weighting, sharp, forget, everything, listen):
    chosen = method(weighting)
    task = Unlearning(chosen, forget, [], everything, SEED, 32)
    collected = listen(task)
    step(sharp, task, micro_batch_size=1)
    order = sorted(range(len(forget)), key=lambda i: len(forget[i]))  # as micro-batches are formed
    table = everything.assign(weight=weights_at_start(chosen.weighting, everything, SEED))
    for number, i in enumerate(order):
        stored = table.loc[table["sample"] == forget[i].sample, "weight"]
        np.testing.assert_allclose(collected[number], stored, rtol=1e-4, atol=1e-5)
    assert (table["weight"].std() > 1e-4) == (weighting not in FLAT)


@pytest.mark.parametrize("weighting", ["uniform", "confidence", "entropy", "spans"])
def test_weights_at_start_follow_their_rows(weighting, scored):
    mixed = shuffled(scored)
    expected = pd.Series(weights_at_start(method(weighting).weighting, scored, SEED), index=scored.index)
    found = weights_at_start(method(weighting).weighting, mixed, SEED)
    np.testing.assert_allclose(found, expected[mixed.index], rtol=1e-12)
