"""Forget objectives and retain terms against float64 implementations written from the formulas alone."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from lethe.method import RetainTokens, TokenBatch
from lethe.objectives.ascent import Ascent
from lethe.objectives.npo import NPO
from lethe.retain.kl import KL
from lethe.retain.nll import NLL
from lethe.retain.none import NoRetain

LENGTHS = (3, 1, 6)
SEQUENCE = torch.repeat_interleave(torch.arange(3), torch.tensor(LENGTHS))
N = sum(LENGTHS)


def data(seed=0):
    """Current and starting log-probabilities, weights with Σ ω = n per sequence, and the batch."""
    generator = torch.Generator().manual_seed(seed)
    logprob = -3 * torch.rand(N, generator=generator)
    reference = -3 * torch.rand(N, generator=generator)
    batch = TokenBatch(SEQUENCE, len(LENGTHS), logprob.clone(), reference_logprob=reference)
    return logprob.requires_grad_(), reference, batch.normalise(torch.rand(N, generator=generator)), batch


def npo_by_hand(logprob, reference, weights, reference_weights, beta):
    """Loss per sequence and gradient per token, float64: metrics §3, and its derivative by hand.

    L = −(2/β) ln σ(β (S − S₀)), S = −Σ ω ln p. dL/d ln p_t = 2 σ(−β (S − S₀)) ω_t.
    """
    losses, gradient = [], []
    for i in range(len(LENGTHS)):
        own = SEQUENCE.numpy() == i
        s = -(weights * logprob)[own].sum()
        s0 = -(reference_weights * reference)[own].sum()
        losses.append(-2 / beta * math.log(1 / (1 + math.exp(-beta * (s - s0)))))
        gradient.append(2 / (1 + math.exp(beta * (s - s0))) * weights[own])
    return np.array(losses), np.concatenate(gradient)


def evaluate(objective, logprob, weights, batch):
    losses = objective.losses(logprob, weights, batch)
    (gradient,) = torch.autograd.grad(losses.sum(), logprob)
    return losses.detach().double().numpy(), gradient.double().numpy()


def double(*tensors):
    return [tensor.detach().double().numpy() for tensor in tensors]


# --- ascent -------------------------------------------------------------------------------------------------


def test_ascent_is_the_weighted_sum_of_log_probabilities():
    logprob, _, weights, batch = data()
    losses, gradient = evaluate(Ascent(), logprob, weights, batch)
    p, w = double(logprob, weights)
    np.testing.assert_allclose(losses, [(p * w)[:3].sum(), (p * w)[3], (p * w)[4:].sum()], rtol=1e-6)
    np.testing.assert_allclose(gradient, w, rtol=1e-6)
    assert Ascent.unit == "token"


def test_ascent_lowers_log_probabilities():
    logprob, _, weights, batch = data()
    _, gradient = evaluate(Ascent(), logprob, weights, batch)
    assert (gradient > 0).all()  # descending on the loss lowers ln p


# --- NPO ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.05, 0.1, 1.0])
@pytest.mark.parametrize("weighted_reference", [True, False])
def test_npo_values_and_gradients(beta, weighted_reference):
    logprob, reference, weights, batch = data()
    found = evaluate(NPO(beta=beta, weighted_reference=weighted_reference), logprob, weights, batch)
    p, p0, w = double(logprob, reference, weights)
    expected = npo_by_hand(p, p0, w, w if weighted_reference else np.ones(N), beta)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5)
    assert NPO.unit == "sequence"


def test_weighted_reference_matters_and_is_the_default():
    logprob, _, weights, batch = data()
    weighted, unweighted = (
        evaluate(NPO(weighted_reference=choice), logprob, weights, batch)[0] for choice in (True, False)
    )
    assert abs(weighted - unweighted).max() > 0.01
    np.testing.assert_array_equal(evaluate(NPO(), logprob, weights, batch)[0], weighted)
    assert NPO().beta == 0.1


@pytest.mark.parametrize("weighted_reference", [True, False])
def test_uniform_weights_give_plain_npo(weighted_reference):
    logprob, reference, _, batch = data()
    found = evaluate(NPO(weighted_reference=weighted_reference), logprob, torch.ones(N), batch)
    p, p0 = double(logprob, reference)
    ratio = [(p - p0)[:3].sum(), (p - p0)[3], (p - p0)[4:].sum()]  # ln p(y|x)/p₀(y|x)
    np.testing.assert_allclose(found[0], [2 / 0.1 * math.log1p(math.exp(0.1 * r)) for r in ratio], rtol=1e-6)


def test_npo_at_the_starting_model():
    """(2/β) ln 2 per sequence, and the gradient of ascent: 2 σ(0) = 1."""
    logprob, _, weights, batch = data()
    batch.reference_logprob = logprob.detach()
    for w in (torch.ones(N), weights):
        losses, gradient = evaluate(NPO(beta=0.1), logprob, w, batch)
        np.testing.assert_allclose(losses, [20 * math.log(2)] * 3, rtol=1e-6)
        np.testing.assert_allclose(gradient, evaluate(Ascent(), logprob, w, batch)[1], rtol=1e-6)


def test_npo_fades_and_stays_finite_far_below_the_starting_model():
    logprob, _, weights, batch = data()
    _, near = evaluate(NPO(), logprob, weights, batch)
    losses, far = evaluate(NPO(beta=1.0), (logprob.detach() - 1e4).requires_grad_(), weights, batch)
    assert np.isfinite(losses).all()
    assert (far == 0).all()
    assert (near > 0).all()
    losses, _ = evaluate(NPO(beta=1.0), (logprob.detach() + 1e4).requires_grad_(), weights, batch)
    assert np.isfinite(losses).all()


def test_beta_must_be_positive():
    with pytest.raises(ValidationError):
        NPO(beta=0)


# --- retain terms -------------------------------------------------------------------------------------------


def retain_tokens(seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden, reference = (torch.randn(N, 8, generator=generator) for _ in range(2))
    head, reference_head = (torch.randn(20, 8, generator=generator) for _ in range(2))
    targets = torch.randint(0, 20, (N,), generator=generator)
    return RetainTokens(hidden.requires_grad_(), head.requires_grad_(), targets, reference, reference_head)


def test_nll_per_token():
    tokens = retain_tokens()
    hidden, head = (x.detach().double().requires_grad_() for x in (tokens.hidden, tokens.head))
    expected = torch.nn.functional.cross_entropy(hidden @ head.T, tokens.targets, reduction="none")
    found = NLL().losses(tokens)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    weights = torch.rand(N, generator=torch.Generator().manual_seed(1))
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(tokens.hidden.grad.double(), hidden.grad, rtol=1e-4, atol=1e-5)
    assert NLL.rows
    assert not NLL.reference


def test_kl_per_token_is_from_the_starting_model_to_the_current():
    tokens = retain_tokens()
    current = (tokens.hidden.detach().double() @ tokens.head.detach().double().T).log_softmax(-1)
    start = (tokens.reference_hidden.double() @ tokens.reference_head.double().T).log_softmax(-1)
    expected = torch.nn.functional.kl_div(current, start, log_target=True, reduction="none").sum(-1)
    torch.testing.assert_close(KL().losses(tokens).double(), expected, rtol=1e-5, atol=1e-5)
    assert KL.rows
    assert KL.reference


def test_no_retain_draws_no_rows():
    assert not NoRetain.rows
    with pytest.raises(NotImplementedError, match="no losses"):
        NoRetain().losses(retain_tokens())
