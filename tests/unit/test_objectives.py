"""Forget objectives and retain terms against float64 implementations written from the formulas alone.

Formulas: docs/choices.md#objectives-and-retain-terms. Gradients are compared under non-uniform weights and
non-uniform upstream gradients; how weightings and objectives go together is at the end.
"""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from lethe.methods.contract import ForgetTokens, Objective, RefusalTokens, RetainTokens, Run, TokenBatch
from lethe.methods.forms import FORMS
from lethe.methods.kernel import token_statistics
from lethe.objectives import OBJECTIVES
from lethe.objectives.ascent import Ascent
from lethe.objectives.idk_dpo import IdkDPO
from lethe.objectives.npo import NPO
from lethe.objectives.rmu import RMU
from lethe.objectives.simnpo import SimNPO
from lethe.objectives.undial import UNDIAL
from lethe.retain import RETAIN_TERMS
from lethe.retain.embed_diff import EmbedDiff
from lethe.retain.kl import KL
from lethe.retain.nll import NLL
from lethe.retain.none import NoRetain
from lethe.weightings import WEIGHTINGS
from lethe.weightings.tnpo import TNPO

LENGTHS = (3, 1, 6)
SEQUENCE = torch.repeat_interleave(torch.arange(3), torch.tensor(LENGTHS))
N = sum(LENGTHS)
REFUSAL = torch.repeat_interleave(torch.arange(3), torch.tensor((4, 2, 3)))
WORDS, WIDTH, START_WIDTH = 20, 8, 5
SEED = 11
UPSTREAM = torch.tensor([0.7, -1.3, 2.1])  # non-uniform: with ones, a gradient of the wrong sequence goes unseen
LEAVES = ("logprob", "hidden", "head", "layer_hidden", "refusal")


def data(seed=0) -> tuple[ForgetTokens, torch.Tensor, TokenBatch]:
    """Tokens with everything that an objective may ask for, weights with Σ ω = n per sequence, and the batch."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    logprob = -3 * torch.rand(N, generator=generator)
    reference = -3 * torch.rand(N, generator=generator)
    refusal = -3 * torch.rand(len(REFUSAL), generator=generator)
    batch = TokenBatch(SEQUENCE, len(LENGTHS), logprob.clone(), reference_logprob=reference)
    tokens = ForgetTokens(
        logprob=logprob.requires_grad_(),
        hidden=normal(N, WIDTH).requires_grad_(),
        head=normal(WORDS, WIDTH).requires_grad_(),
        targets=torch.randint(0, WORDS, (N,), generator=generator),
        layer_hidden=normal(N, WIDTH).requires_grad_(),
        reference_hidden=normal(N, START_WIDTH),
        reference_head=normal(WORDS, START_WIDTH),
        refusal=RefusalTokens(REFUSAL, refusal.requires_grad_(), refusal.detach() - normal(len(REFUSAL))),
    )
    return tokens, batch.normalise(torch.rand(N, generator=generator)), batch


def leaves(tokens: ForgetTokens) -> list[torch.Tensor]:
    return [tokens.logprob, tokens.hidden, tokens.head, tokens.layer_hidden, tokens.refusal.logprob]


def run_in(seed: int) -> Run:
    return Run(seed, WIDTH, steps=10, device=torch.device("cpu"), total=float)


def evaluate(objective: Objective, tokens, weights, batch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Losses [B], and the gradients of the inputs that the losses depend on, by name; float64 numpy."""
    losses = objective.start(run_in(SEED))(tokens, weights, batch)
    gradients = torch.autograd.grad((UPSTREAM * losses).sum(), leaves(tokens), allow_unused=True)
    found = {name: g.double().numpy() for name, g in zip(LEAVES, gradients, strict=True) if g is not None}
    return losses.detach().double().numpy(), found


def by_hand(formula, tokens, weights, batch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The same from a formula of one sequence, in float64, one sequence after the other, no kernel, no batching."""
    doubles = [leaf.detach().double().requires_grad_() for leaf in leaves(tokens)]
    logprob, hidden, head, layer, refusal = doubles
    losses = []
    for i in range(len(LENGTHS)):
        own, refused = SEQUENCE.eq(i), REFUSAL.eq(i)
        losses.append(
            formula(
                SimpleNamespace(
                    logprob=logprob[own],
                    start=batch.reference_logprob[own].double(),
                    weights=weights[own].double(),
                    hidden=hidden[own],
                    head=head,
                    targets=tokens.targets[own],
                    layer=layer[own],
                    start_logits=tokens.reference_hidden[own].double() @ tokens.reference_head.double().T,
                    refusal=refusal[refused],
                    refusal_start=tokens.refusal.reference_logprob[refused].double(),
                )
            )
        )
    losses = torch.stack(losses)
    gradients = torch.autograd.grad((UPSTREAM.double() * losses).sum(), doubles, allow_unused=True)
    found = {name: g.numpy() for name, g in zip(LEAVES, gradients, strict=True) if g is not None}
    return losses.detach().numpy(), found


def assert_same(found, expected, rtol=2e-5):
    np.testing.assert_allclose(found[0], expected[0], rtol=rtol)
    assert found[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        np.testing.assert_allclose(found[1][name], gradient, rtol=rtol, atol=rtol * abs(gradient).max(), err_msg=name)


# --- formulas of one sequence ------------------------------------------------------------------------------


def preference(beta, x):
    """−(2/β) ln σ(β x)"""
    return 2 / beta * (1 + (-beta * x).exp()).log()


def npo(beta, weighted_reference):
    def loss(s):
        reference_weights = s.weights if weighted_reference else 1
        return preference(beta, -(s.weights * s.logprob).sum() + (reference_weights * s.start).sum())

    return loss


def simnpo(beta, delta):
    return lambda s: preference(beta, -(s.weights * s.logprob).sum() / len(s.weights) - delta)


def idk_dpo(beta):
    def loss(s):
        gained = -s.refusal_start.sum() + s.refusal.sum()  # S₀ʷ − Sʷ
        kept = -(s.weights * s.start).sum() + (s.weights * s.logprob).sum()  # S₀ˡ − Sˡ
        return preference(beta, gained - kept)

    return loss


def soft_label(s, beta):
    return (s.start_logits - beta * one_hot(s.targets, WORDS)).softmax(-1)


def undial(beta):
    def loss(s):
        q = soft_label(s, beta)
        return (s.weights * (q * (q.log() - (s.hidden @ s.head.T).log_softmax(-1))).sum(-1)).sum()

    return loss


def rmu(steering):
    direction = torch.rand(WIDTH, generator=torch.Generator().manual_seed(SEED)).double()
    control = steering * direction / direction.square().sum().sqrt()

    def loss(s):
        return (s.weights[:, None] * (s.layer - control) ** 2).sum() / (WIDTH * len(s.weights))

    return loss


CASES = [
    (Ascent(), lambda s: (s.weights * s.logprob).sum()),
    *((NPO(beta=b, weighted_reference=w), npo(b, w)) for b in (0.05, 0.1, 1.0) for w in (True, False)),
    *((SimNPO(beta=b, delta=d), simnpo(b, d)) for b in (0.5, 2.5, 4.5) for d in (0.0, 1.0)),
    *((IdkDPO(beta=b), idk_dpo(b)) for b in (0.05, 0.1, 1.0)),
    *((UNDIAL(beta=b), undial(b)) for b in (0.0, 3.0, 10.0)),
    *((RMU(steering=c), rmu(c)) for c in (0.5, 2.0, 20.0)),
]
READS = {
    Ascent: {"logprob"},
    NPO: {"logprob"},
    SimNPO: {"logprob"},
    IdkDPO: {"logprob", "refusal"},
    UNDIAL: {"hidden", "head"},
    RMU: {"layer_hidden"},
}


def test_every_objective_has_a_formula_here():
    assert {type(objective) for objective, _ in CASES} == set(READS) == set(OBJECTIVES.values())


@pytest.mark.parametrize(("objective", "formula"), CASES, ids=lambda x: repr(x) if isinstance(x, Objective) else "")
def test_losses_and_gradients_equal_float64(objective, formula):
    arguments = data()
    found = evaluate(objective, *arguments)
    assert found[0].shape == (len(LENGTHS),)
    assert found[1].keys() == READS[type(objective)]
    assert_same(found, by_hand(formula, *arguments))


def test_what_objectives_ask_for():
    assert {name for name, objective in OBJECTIVES.items() if objective.unit == "token"} == {"ascent", "undial"}
    assert {name for name, objective in OBJECTIVES.items() if objective.reference} == {"npo", "idk_dpo"}
    assert {name for name, objective in OBJECTIVES.items() if objective.teacher} == {"undial"}
    assert {name for name, objective in OBJECTIVES.items() if objective.refusals} == {"idk_dpo"}
    assert {name for name, objective in OBJECTIVES.items() if objective().reads_layer() is not None} == {"rmu"}
    assert RMU(layer=3).reads_layer() == EmbedDiff(layer=3).reads_layer() == 3


def test_defaults_are_those_of_open_unlearning():
    assert (NPO().beta, NPO().weighted_reference) == (0.1, True)
    assert (SimNPO().beta, SimNPO().delta) == (4.5, 0.0)
    assert (IdkDPO().beta, UNDIAL().beta) == (0.1, 10.0)
    assert (RMU().layer, RMU().steering, EmbedDiff().layer) == (7, 2.0, 7)


@pytest.mark.parametrize(
    ("objective", "parameters"),
    [
        (NPO, {"beta": 0}),
        (SimNPO, {"beta": 0}),
        (IdkDPO, {"beta": -1}),
        (UNDIAL, {"beta": -1}),
        (RMU, {"steering": 0}),
        (RMU, {"layer": -1}),
        (EmbedDiff, {"layer": -1}),
        (SimNPO, {"gamma": 0.125}),  # open-unlearning's name of the method's `strength`
    ],
)
def test_bad_hyper_parameters_are_refused(objective, parameters):
    with pytest.raises(ValidationError):
        objective(**parameters)


# --- uniform weights give the plain loss back ---------------------------------------------------------------


def log_ratio(s):
    return s.logprob.sum() - s.start.sum()  # ln p(y|x)/p₀(y|x)


PLAIN = [
    (Ascent(), lambda s: s.logprob.sum()),
    (NPO(beta=0.3), lambda s: preference(0.3, -log_ratio(s))),
    (NPO(beta=0.3, weighted_reference=False), lambda s: preference(0.3, -log_ratio(s))),
    (SimNPO(beta=2.0, delta=0.5), lambda s: preference(2.0, -s.logprob.mean() - 0.5)),
    (IdkDPO(beta=0.3), lambda s: preference(0.3, s.refusal.sum() - s.refusal_start.sum() - log_ratio(s))),
    (
        UNDIAL(beta=3.0),
        lambda s: (
            cross_entropy(s.hidden @ s.head.T, soft_label(s, 3.0), reduction="sum")
            - torch.special.entr(soft_label(s, 3.0)).sum()
        ),
    ),
    (RMU(steering=2.0), lambda s: rmu(2.0)(SimpleNamespace(layer=s.layer, weights=torch.ones(len(s.layer))))),
]


@pytest.mark.parametrize(("objective", "formula"), PLAIN, ids=lambda x: repr(x) if isinstance(x, Objective) else "")
def test_uniform_weights_give_the_plain_loss(objective, formula):
    tokens, weights, batch = data()
    uniform = WEIGHTINGS["uniform"]().weights(batch)
    found = evaluate(objective, tokens, uniform, batch)
    assert_same(found, by_hand(formula, tokens, weights, batch))  # the formula does not read the weights
    assert abs(found[0] - evaluate(objective, tokens, weights, batch)[0]).max() > 1e-3


def test_every_objective_has_a_plain_form_here():
    assert {type(objective) for objective, _ in PLAIN} == set(OBJECTIVES.values())


# --- extremes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [0.0, -1e4])
@pytest.mark.parametrize("start", [0.0, -1e4])
@pytest.mark.parametrize("current", [0.0, -1e4])
@pytest.mark.parametrize(
    "objective", [Ascent(), NPO(), NPO(beta=10.0), SimNPO(), IdkDPO(), IdkDPO(beta=10.0)], ids=repr
)
def test_extreme_log_probabilities_stay_finite(objective, current, start, refusal):
    tokens, weights, batch = data()
    tokens.logprob = torch.full((N,), current, requires_grad=True)
    batch.logprob, batch.reference_logprob = tokens.logprob.detach(), torch.full((N,), start)
    tokens.refusal.logprob = torch.full((len(REFUSAL),), refusal, requires_grad=True)
    losses, gradients = evaluate(objective, tokens, weights, batch)
    assert np.isfinite(losses).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


@pytest.mark.parametrize("beta", [0.0, 10.0, 1e4])
@pytest.mark.parametrize(("scale", "start_scale"), [(0.0, 0.0), (0.0, 1e3), (1e3, 0.0), (1e3, 1e3)])
def test_undial_of_certain_models_stays_finite(scale, start_scale, beta):
    tokens, weights, batch = data()
    tokens.hidden = (scale * tokens.hidden.detach()).requires_grad_()
    tokens.reference_hidden = start_scale * tokens.reference_hidden
    losses, gradients = evaluate(UNDIAL(beta=beta), tokens, weights, batch)
    assert np.isfinite(losses).all()
    assert (losses >= -1e-5).all()  # a divergence, up to rounding
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


# --- ascent -------------------------------------------------------------------------------------------------


def test_ascent_lowers_log_probabilities():
    tokens, weights, batch = data()
    gradient = evaluate(Ascent(), tokens, weights, batch)[1]["logprob"]
    # descending on the loss lowers ln p, in proportion to ω
    np.testing.assert_allclose(gradient, (UPSTREAM[SEQUENCE] * weights).numpy(), rtol=1e-6)


# --- NPO ----------------------------------------------------------------------------------------------------


def test_npo_gradient_by_hand():
    """dL/d ln p_t = 2 σ(−β (S − S₀)) ω_t, the derivative worked out instead of differentiated."""
    tokens, weights, batch = data()
    p, p0, w = (x.detach().double().numpy() for x in (tokens.logprob, batch.reference_logprob, weights))
    difference = np.array([(w * (p0 - p))[SEQUENCE.eq(i)].sum() for i in range(3)])  # S − S₀
    expected = (UPSTREAM.numpy() * 2 / (1 + np.exp(0.1 * difference)))[SEQUENCE] * w
    np.testing.assert_allclose(evaluate(NPO(), tokens, weights, batch)[1]["logprob"], expected, rtol=1e-5)


def test_weighted_reference_matters():
    arguments = data()
    weighted, unweighted = (evaluate(NPO(weighted_reference=choice), *arguments)[0] for choice in (True, False))
    assert abs(weighted - unweighted).max() > 0.01


def test_npo_at_the_starting_model():
    """(2/β) ln 2 per sequence, and the gradient of ascent: 2 σ(0) = 1."""
    tokens, weights, batch = data()
    batch.reference_logprob = tokens.logprob.detach()
    for w in (torch.ones(N), weights):
        losses, gradients = evaluate(NPO(beta=0.1), tokens, w, batch)
        np.testing.assert_allclose(losses, [20 * math.log(2)] * 3, rtol=1e-6)
        ascent = evaluate(Ascent(), tokens, w, batch)[1]["logprob"]
        np.testing.assert_allclose(gradients["logprob"], ascent, rtol=1e-6)


def test_npo_fades_below_the_starting_model():
    tokens, weights, batch = data()
    tokens.logprob = (tokens.logprob.detach() - 1e4).requires_grad_()
    assert (evaluate(NPO(beta=1.0), tokens, weights, batch)[1]["logprob"] == 0).all()


@pytest.mark.parametrize("beta", [0.1, 4.0])
def test_npo_on_single_tokens_is_ascent_weighted_by_tnpo(beta):
    """NPO's gradient is ascent's times 2 p^β / (p^β + p₀^β) of the sequence; TNPO is that, token by token."""
    tokens, _, batch = data()
    batch.sequence, batch.n_sequences = torch.arange(N), N
    (found,) = torch.autograd.grad(NPO(beta=beta).losses(tokens, torch.ones(N), batch).sum(), tokens.logprob)
    torch.testing.assert_close(found, TNPO(beta=beta).weights(batch))


# --- SimNPO -------------------------------------------------------------------------------------------------


def test_simnpo_without_margin_is_the_papers_form():
    """−(2/β) ln σ(−(β/|y|) ln p(y)); factor 2 σ(−β NLL/|y|)/|y| of each token's gradient."""
    tokens, _, batch = data()
    losses, gradients = evaluate(SimNPO(beta=2.5), tokens, torch.ones(N), batch)
    p = tokens.logprob.detach().double().numpy()
    mean = np.array([-p[SEQUENCE.eq(i)].mean() for i in range(3)])
    np.testing.assert_allclose(losses, 2 / 2.5 * np.log1p(np.exp(-2.5 * mean)), rtol=1e-5)
    factor = UPSTREAM.numpy() * 2 / (1 + np.exp(2.5 * mean)) / np.array(LENGTHS)
    np.testing.assert_allclose(gradients["logprob"], factor[SEQUENCE], rtol=1e-5)


def test_simnpo_does_not_need_a_starting_model():
    tokens, weights, batch = data()
    batch.reference_logprob = None
    assert np.isfinite(evaluate(SimNPO(), tokens, weights, batch)[0]).all()


# --- IdkDPO -------------------------------------------------------------------------------------------------


def test_idk_dpo_raises_the_refusal_and_lowers_the_answer():
    tokens, weights, batch = data()
    losses = IdkDPO().losses(tokens, weights, batch)
    answer, refusal = torch.autograd.grad(losses.sum(), (tokens.logprob, tokens.refusal.logprob))
    assert (answer > 0).all()
    assert (refusal < 0).all()


def test_weights_reach_the_answer_of_idk_dpo_only():
    tokens, weights, batch = data()
    _, refusal = torch.autograd.grad(
        IdkDPO().losses(tokens, weights, batch).sum(), (tokens.logprob, tokens.refusal.logprob)
    )
    per_sequence = [refusal[REFUSAL.eq(i)] for i in range(3)]
    assert all(len(part.unique()) == 1 for part in per_sequence)
    zero = IdkDPO(beta=1.0).losses(tokens, torch.zeros(N), batch).detach()  # the answer does not count at all
    gained = [(tokens.refusal.logprob - tokens.refusal.reference_logprob)[REFUSAL.eq(i)].sum().item() for i in range(3)]
    np.testing.assert_allclose(zero.numpy(), [2 * math.log1p(math.exp(-g)) for g in gained], rtol=1e-5)


def test_idk_dpo_at_the_starting_model_is_two_ln_two_over_beta():
    tokens, weights, batch = data()
    batch.reference_logprob = tokens.logprob.detach()
    tokens.refusal.reference_logprob = tokens.refusal.logprob.detach()
    np.testing.assert_allclose(evaluate(IdkDPO(beta=0.1), tokens, weights, batch)[0], [20 * math.log(2)] * 3, rtol=1e-6)


# --- UNDIAL -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [1.0, 10.0])
def test_undial_is_the_published_cross_entropy_less_a_constant(beta):
    """Same gradient as the cross-entropy against softmax(z₀ − β·onehot(y)), smaller by the soft label's entropy."""
    arguments = data()
    losses, gradients = evaluate(UNDIAL(beta=beta), *arguments)

    def published(s):
        return (s.weights * cross_entropy(s.hidden @ s.head.T, soft_label(s, beta), reduction="none")).sum()

    def constant(s):
        return (s.weights * torch.special.entr(soft_label(s, beta)).sum(-1)).sum() + 0 * s.hidden.sum()

    cross, expected = by_hand(published, *arguments)
    entropy, _ = by_hand(constant, *arguments)
    assert (entropy > 0.1).all()
    np.testing.assert_allclose(losses, cross - entropy, rtol=1e-5)
    for name in ("hidden", "head"):
        np.testing.assert_allclose(gradients[name], expected[name], rtol=1e-4, atol=1e-5)


def test_undial_lowers_the_gold_token_of_an_unchanged_model():
    tokens, weights, batch = data()
    tokens.reference_hidden, tokens.reference_head = tokens.hidden.detach(), tokens.head.detach()
    losses, gradients = evaluate(UNDIAL(beta=0.0), tokens, weights, batch)
    assert (losses == 0).all()
    assert not any(gradient.any() for gradient in gradients.values())
    loss = UNDIAL(beta=5.0).losses(tokens, weights, batch).sum()
    (gradient,) = torch.autograd.grad(loss, tokens.hidden)
    logprob = token_statistics(tokens.hidden, tokens.head, tokens.targets).logprob
    (uphill,) = torch.autograd.grad(logprob.sum(), tokens.hidden)
    assert ((gradient * uphill).sum(-1) > 0).all()  # a descending step lowers each gold token's ln p


# --- RMU ----------------------------------------------------------------------------------------------------


def control_of(objective: RMU, seed: int) -> torch.Tensor:
    """The control vector, read off the gradient at h = 0 of a single token: −(2/H) c·u."""
    tokens, _, batch = data()
    tokens.layer_hidden = torch.zeros(1, WIDTH, requires_grad=True)
    batch = TokenBatch(torch.tensor([0]), 1, batch.logprob[:1])
    loss = objective.start(run_in(seed))(tokens, torch.ones(1), batch)
    (gradient,) = torch.autograd.grad(loss.sum(), tokens.layer_hidden)
    return -gradient[0] * WIDTH / 2


def test_rmu_steers_along_one_direction_per_seed():
    control = control_of(RMU(steering=3.0), 5)
    assert control.norm().item() == pytest.approx(3.0, rel=1e-6)
    assert (control >= 0).all()  # uniform in [0, 1) before it is scaled, as in the authors' code
    assert torch.equal(control, control_of(RMU(steering=3.0), 5))
    torch.testing.assert_close(control, 3 * control_of(RMU(steering=1.0), 5))
    assert abs(control - control_of(RMU(steering=3.0), 6)).max() > 0.1


def test_rmu_keeps_its_direction_over_a_run_and_leaves_the_global_generator_alone():
    tokens, weights, batch = data()
    state = torch.random.get_rng_state()
    losses = RMU().start(run_in(SEED))
    first = losses(tokens, weights, batch)
    assert torch.equal(first, losses(tokens, weights, batch))
    assert torch.equal(state, torch.random.get_rng_state())


def test_rmu_reads_half_precision_states_in_fp32():
    tokens, weights, batch = data()
    exact = RMU().start(run_in(SEED))(tokens, weights, batch)
    tokens.layer_hidden = tokens.layer_hidden.detach().bfloat16().requires_grad_()
    rounded = RMU().start(run_in(SEED))(tokens, weights, batch)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=2e-2, atol=2e-2)
    assert not torch.equal(rounded, exact)


# --- retain terms -------------------------------------------------------------------------------------------


def retain_tokens(seed=0):
    """Tokens of retain rows; `reference_hidden` is that of the last layer."""
    generator = torch.Generator().manual_seed(seed)
    hidden, reference = (torch.randn(N, WIDTH, generator=generator) for _ in range(2))
    head, reference_head = (torch.randn(WORDS, WIDTH, generator=generator) for _ in range(2))
    targets = torch.randint(0, WORDS, (N,), generator=generator)
    return RetainTokens(
        hidden.requires_grad_(),
        head.requires_grad_(),
        targets,
        layer_hidden=torch.randn(N, WIDTH, generator=generator).requires_grad_(),
        reference_hidden=reference,
        reference_head=reference_head,
    )


def nll_by_hand(hidden, head, layer, tokens):
    return cross_entropy(hidden @ head.T, tokens.targets, reduction="none")


def kl_by_hand(hidden, head, layer, tokens):
    start = (tokens.reference_hidden.double() @ tokens.reference_head.double().T).log_softmax(-1)
    return (start.exp() * (start - (hidden @ head.T).log_softmax(-1))).sum(-1)


def embed_diff_by_hand(hidden, head, layer, tokens):
    return mse_loss(layer, tokens.reference_hidden.double(), reduction="none").mean(-1)


RETAIN = {"nll": nll_by_hand, "kl": kl_by_hand, "embed_diff": embed_diff_by_hand}


@pytest.mark.parametrize("name", RETAIN)
def test_retain_term_equals_float64(name):
    tokens = retain_tokens()
    inputs = [tokens.hidden, tokens.head, tokens.layer_hidden]
    doubles = [x.detach().double().requires_grad_() for x in inputs]
    found, expected = RETAIN_TERMS[name]().losses(tokens), RETAIN[name](*doubles, tokens)
    assert found.shape == (N,)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    upstream = torch.rand(N, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad((upstream * found).sum(), inputs, allow_unused=True)
    expected = torch.autograd.grad((upstream * expected).sum(), doubles, allow_unused=True)
    assert [g is None for g in gradients] == [g is None for g in expected]
    for a, b in zip(gradients, expected, strict=True):
        if b is not None:
            torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5)


def test_what_retain_terms_ask_for():
    assert set(RETAIN_TERMS) == {"none", *RETAIN}
    assert {name for name, term in RETAIN_TERMS.items() if term.reference} == {"kl", "embed_diff"}
    assert {name for name, term in RETAIN_TERMS.items() if term().reads_layer() is not None} == {"embed_diff"}
    assert all(term.rows for term in (NLL, KL, EmbedDiff))


def test_embed_diff_at_the_starting_model_is_zero_and_flat():
    tokens = retain_tokens()
    tokens.reference_hidden = tokens.layer_hidden.detach().clone()
    losses = EmbedDiff().losses(tokens)
    losses.sum().backward()
    assert torch.equal(losses, torch.zeros(N))
    assert not tokens.layer_hidden.grad.any()


def test_embed_diff_of_half_precision_states_is_fp32():
    tokens = retain_tokens()
    tokens.layer_hidden = tokens.layer_hidden.detach().bfloat16().requires_grad_()
    expected = mse_loss(tokens.layer_hidden.double(), tokens.reference_hidden.double(), reduction="none").mean(-1)
    found = EmbedDiff().losses(tokens)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_no_retain_draws_no_rows():
    assert not NoRetain.rows
    with pytest.raises(NotImplementedError, match="no losses"):
        NoRetain().losses(retain_tokens())


# --- each weighting with each objective ---------------------------------------------------------------------

PARAMETERS = {name: {"form": "top_k_entropy"} for name in ("spread", "raw_spread")}


def whole_batch() -> tuple[ForgetTokens, TokenBatch, pd.DataFrame]:
    """Everything that any method may ask for, from one set of hidden states; and the token table of the same rows."""
    tokens, _, batch = data()
    forms = tuple(form() for form in FORMS.values())
    statistics = token_statistics(tokens.hidden, tokens.head, tokens.targets, (1.0,), forms=forms)
    tokens.logprob = statistics.logprob
    table = pd.DataFrame(
        {
            "sample": SEQUENCE.numpy(),
            "informative_gold": pd.array([i % 3 == 0 for i in range(N)], dtype="boolean"),
            "pos": ["NOUN", "VERB", "PROPN", "", "DET"] * 2,
            "noun_chunk": [i % 2 == 0 for i in range(N)],
            "entity": [i % 4 == 0 for i in range(N)],
            "mutual_information": np.linspace(0, 0.3, N),
        }
    )
    batch = TokenBatch(
        sequence=SEQUENCE,
        n_sequences=len(LENGTHS),
        logprob=statistics.logprob.detach(),
        entropy={t: h.detach() for t, h in statistics.entropy.items()},
        forms=statistics.forms,
        reference_logprob=statistics.logprob.detach() - 0.3,
        hidden_states=torch.randn(len(LENGTHS), 12, WIDTH, generator=torch.Generator().manual_seed(2)),
        position=torch.arange(N),
    )
    return tokens, batch, table


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_every_weighting_goes_with_every_objective(weighting, objective):
    tokens, batch, table = whole_batch()
    weighting = WEIGHTINGS[weighting](**PARAMETERS.get(weighting, {}))
    column = weighting.column(table, SEED)
    batch.static = None if column is None else torch.from_numpy(np.asarray(column, dtype=np.float32))
    weights = weighting.start(run_in(SEED)).weights(batch)
    assert weights.shape == (N,)
    assert weights.dtype == torch.float32
    assert not weights.requires_grad  # the batch is detached, and so is what is made of it
    assert weights.isfinite().all()
    assert (weights >= 0).all()
    assert (weights > 0).any()

    losses = OBJECTIVES[objective]().start(run_in(SEED))(tokens, weights, batch)
    assert losses.shape == (len(LENGTHS),)
    assert losses.isfinite().all()
    inputs = (tokens.hidden, tokens.head, tokens.layer_hidden)
    gradients = [g for g in torch.autograd.grad(losses.sum(), inputs, allow_unused=True) if g is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert all(gradient.any() for gradient in gradients)
    assert not any(x.requires_grad for x in (batch.logprob, batch.reference_logprob, *batch.forms.values()))
