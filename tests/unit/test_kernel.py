"""The kernel against float64: values, gradients under non-uniform upstream gradients, and its memory bound.

The formulas of the forms are tested in test_forms.py; here, that the kernel hands out those of its own logits.
"""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lethe.methods.forms import FORMS, TopKEntropy
from lethe.methods.kernel import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    TokenStatistics,
    chunk_rows,
    token_kl,
    token_scores,
    token_statistics,
)

N, H, V = 47, 31, 123
TEMPERATURES = (0.5, 1.0, 2.0)
CHUNKS = (1, 7, N, 1000)  # single rows, odd with a rest, all at once, larger than N
ALL_FORMS = tuple(form(temperature=t) for form in FORMS.values() for t in (1.0, 2.0))


def inputs(dtype=torch.float32, scale=1.0, rows=N, width=H, words=V, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden = scale * torch.randn(rows, width, generator=generator)
    head = torch.randn(words, width, generator=generator) / width**0.5 * 3
    targets = torch.randint(0, words, (rows,), generator=generator)
    return hidden.to(dtype).requires_grad_(), head.to(dtype).requires_grad_(), targets


def upstream(count, seed=1):
    """Non-uniform gradients for `count` outputs: with ones, a backward that mixes up rows goes unseen."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(N, generator=generator) * (-1) ** k for k in range(count)]


def naive(hidden, head, targets, temperatures=(), chunk=None):
    """What the kernel must equal, with all logits at once."""
    logits = hidden @ head.T
    entropy = {}
    for t in temperatures:
        log_p = (logits / t).log_softmax(-1)
        entropy[t] = -(log_p.exp() * log_p).sum(-1)
    logprob = logits.log_softmax(-1).gather(-1, targets[:, None]).squeeze(-1)
    return TokenStatistics(logprob, entropy, {})


def evaluate(function, hidden, head, targets, temperatures, gradients, chunk=None):
    """Outputs and (hidden, head) gradients; None in `gradients` leaves an output out of the loss."""
    logprob, entropy, _ = function(hidden, head, targets, temperatures, chunk)
    outputs = [logprob, *(entropy[t] for t in temperatures)]
    loss = sum((g.to(o) * o).sum() for g, o in zip(gradients, outputs, strict=True) if g is not None)
    return outputs, torch.autograd.grad(loss, (hidden, head))


def errors(function, data, temperatures, gradients, chunk=None):
    """Largest error of values and of gradients relative to the largest float64 value."""
    hidden, head, targets = data
    double = [x.detach().double().requires_grad_() for x in (hidden, head)]
    expected = evaluate(naive, *double, targets, temperatures, gradients)
    found = evaluate(function, hidden, head, targets, temperatures, gradients, chunk)
    return [
        max(float((a - b).detach().abs().max() / b.detach().abs().max()) for a, b in zip(x, y, strict=True))
        for x, y in zip(found, expected, strict=True)
    ]


# --- token_statistics: values and gradients -----------------------------------------------------------------


@pytest.mark.parametrize("chunk", CHUNKS)
def test_values_and_gradients_equal_float64(chunk):
    values, gradients = errors(token_statistics, inputs(), TEMPERATURES, upstream(4), chunk)
    assert values < 5e-6
    assert gradients < 5e-6


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (3,), (1, 3), (0, 2)])
def test_gradients_of_some_outputs_only(wanted):
    gradients = [g if k in wanted else None for k, g in enumerate(upstream(4))]
    assert max(errors(token_statistics, inputs(), TEMPERATURES, gradients, chunk=7)) < 5e-6


def test_hand_computed_values():
    # logits ln 1, ln 2, ln 5: p = 1/8, 2/8, 5/8
    hidden = torch.tensor([[1.0, 2.0, 5.0]]).log()
    result = token_statistics(hidden, torch.eye(3), torch.tensor([1]), (1.0,))
    assert result.logprob.item() == pytest.approx(-1.3862944, abs=1e-6)  # ln 1/4
    assert result.entropy[1.0].item() == pytest.approx(0.9002561, abs=1e-6)  # (ln 8)/8 + (ln 4)/4 + 5/8 ln 8/5


def test_confident_tokens_keep_their_entropy():
    """lse − Σ p·z would cancel: on these logits its error is 7e-6 of the largest entropy, the kernel's 2e-6."""
    hidden, head, targets = inputs(scale=6.0)
    values, gradients = errors(token_statistics, (hidden, head, targets), (1.0,), upstream(2), 16)
    assert values < 5e-6
    assert gradients < 5e-6
    assert all((token_statistics(hidden, head, targets, (0.1,)).entropy[0.1] >= 0).tolist())


def test_log_probability_is_never_tempered():
    hidden, head, targets = inputs()
    plain = token_statistics(hidden, head, targets).logprob
    assert torch.equal(token_statistics(hidden, head, targets, (2.0,)).logprob, plain)


def test_default_chunk_gives_the_same():
    hidden, head, targets = inputs()
    by_default, by_seven = (token_statistics(hidden, head, targets, (2.0,), chunk) for chunk in (None, 7))
    torch.testing.assert_close(by_default.logprob, by_seven.logprob)
    assert chunk_rows(50_304) == 125
    assert chunk_rows(CHUNK_BYTES) == CHUNK_ROWS  # never so few that matrix products crawl


def test_gradient_for_one_input_only():
    hidden, head, targets = inputs()
    (expected,) = torch.autograd.grad(naive(hidden, head.detach(), targets).logprob.sum(), hidden)
    token_statistics(hidden, head.detach(), targets, chunk=7).logprob.sum().backward()
    torch.testing.assert_close(hidden.grad, expected)
    hidden, head, targets = inputs()
    (expected,) = torch.autograd.grad(naive(hidden.detach(), head, targets).logprob.sum(), head)
    token_statistics(hidden.detach(), head, targets, chunk=7).logprob.sum().backward()
    torch.testing.assert_close(head.grad, expected)


def test_empty_input_is_differentiable():
    hidden, head, _ = inputs()
    result = token_statistics(hidden[:0], head, torch.empty(0, dtype=torch.long), (1.0, 2.0))
    assert result.logprob.shape == result.entropy[2.0].shape == (0,)
    (result.logprob.sum() + result.entropy[1.0].sum()).backward()
    assert torch.equal(hidden.grad, torch.zeros_like(hidden))
    assert torch.equal(head.grad, torch.zeros_like(head))


def test_second_derivative_is_refused_rather_than_wrong():
    hidden, head, targets = inputs()
    logprob = token_statistics(hidden, head, targets).logprob
    (gradient,) = torch.autograd.grad(logprob.square().sum(), hidden, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


# --- token_statistics: forms --------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [token_statistics, token_scores])
@pytest.mark.parametrize("chunk", [None, *CHUNKS])
def test_forms_are_those_of_the_logits_whatever_the_chunk(function, chunk):
    hidden, head, targets = inputs()
    found = function(hidden, head, targets, (1.0,), chunk, ALL_FORMS).forms
    assert list(found) == list(ALL_FORMS)
    logits = (hidden.double() @ head.double().T).detach()
    for form, values in found.items():
        expected = form.of(logits)
        assert values.dtype == torch.float32
        torch.testing.assert_close(values.double(), expected, rtol=1e-5, atol=1e-6)


def test_forms_carry_no_gradient():
    result = token_statistics(*inputs(), TEMPERATURES, forms=ALL_FORMS)
    assert not any(values.requires_grad for values in result.forms.values())
    assert result.logprob.requires_grad


@pytest.mark.parametrize("wanted", [(0,), (2,), (0, 1, 2, 3)])
def test_values_and_gradients_do_not_change_when_forms_are_asked_for(wanted):
    def with_forms(*arguments):
        return token_statistics(*arguments, forms=ALL_FORMS)

    gradients = [g if k in wanted else None for k, g in enumerate(upstream(4))]
    plain, asked = (evaluate(f, *inputs(), TEMPERATURES, gradients, 7) for f in (token_statistics, with_forms))
    for part_plain, part_asked in zip(plain, asked, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(part_plain, part_asked, strict=True))


def test_forms_alone_need_no_temperature():
    form = TopKEntropy(k=V, temperature=2.0)  # at k = V the entropy
    result = token_statistics(*inputs(), (), 7, (form,))
    assert result.entropy == {}
    torch.testing.assert_close(result.forms[form], token_statistics(*inputs(), (2.0,)).entropy[2.0].detach())


@pytest.mark.parametrize("function", [token_statistics, token_scores])
def test_what_is_asked_for_twice_is_computed_once(function):
    form = TopKEntropy(k=3)
    twice = function(*inputs(), (2.0, 1.0, 2), 7, (form, TopKEntropy(k=3)))
    once = function(*inputs(), (2.0, 1.0), 7, (form,))
    assert list(twice.entropy) == [2.0, 1.0]
    for temperature, values in twice.entropy.items():
        torch.testing.assert_close(values, once.entropy[temperature], rtol=0, atol=0)
    torch.testing.assert_close(twice.forms[form], once.forms[form], rtol=0, atol=0)


@pytest.mark.parametrize("function", [token_statistics, token_scores])
def test_forms_of_nothing(function):
    hidden, head, _ = inputs()
    forms = function(hidden[:0], head, torch.empty(0, dtype=torch.long), forms=ALL_FORMS).forms
    assert [values.shape for values in forms.values()] == [(0,)] * len(ALL_FORMS)


def test_forms_under_autocast_round_the_matrix_product_and_nothing_else():
    hidden, head, targets = inputs()
    logits = half_precision_logits(hidden, head).detach()
    with torch.autocast("cpu", torch.bfloat16):
        found = token_statistics(hidden, head, targets, chunk=7, forms=ALL_FORMS).forms
    for form, values in found.items():
        assert values.dtype == torch.float32
        expected = form.of(logits)
        torch.testing.assert_close(values.double(), expected, rtol=1e-5, atol=1e-6)


# --- the check itself ---------------------------------------------------------------------------------------


def corrupted(*arguments):
    """The fault of a well-known kernel: every upstream gradient replaced by that of the first token.

    linkedin/Liger-Kernel#1298: values right, gradients right under ones, wrong under token weights.
    """
    result = token_statistics(*arguments)
    result.logprob.register_hook(lambda g: g[0].expand_as(g))
    return result


def test_the_check_sees_the_planted_fault():
    assert max(errors(corrupted, inputs(), (), [torch.ones(N)])) < 5e-6  # ones cannot see it
    values, gradients = errors(corrupted, inputs(), (), upstream(1))
    assert values < 5e-6
    assert gradients > 0.3


# --- precision ----------------------------------------------------------------------------------------------


def test_bfloat16_inputs_give_fp32_results_within_tolerance():
    data = inputs(torch.bfloat16)
    result = token_statistics(*data, TEMPERATURES)
    assert result.logprob.dtype == result.entropy[2.0].dtype == torch.float32
    values, gradients = errors(token_statistics, data, TEMPERATURES, upstream(4), 7)
    assert values < 2e-2
    assert gradients < 2e-2
    assert evaluate(token_statistics, *data, (), upstream(1))[1][0].dtype == torch.bfloat16


def half_precision_logits(hidden, head):
    """Logits as autocast's matrix product rounds them, in float64 from there on."""
    return (hidden.bfloat16() @ head.bfloat16().T).double()


def test_autocast_rounds_the_matrix_product_and_nothing_else():
    hidden, head, targets = inputs()
    logits = half_precision_logits(hidden, head)
    expected = naive(logits, torch.eye(V).double(), targets, TEMPERATURES)
    with torch.autocast("cpu", torch.bfloat16):
        found = token_statistics(hidden, head, targets, TEMPERATURES, 7)
    torch.testing.assert_close(found.logprob.double(), expected.logprob, rtol=2e-6, atol=2e-6)
    for t in TEMPERATURES:
        assert found.entropy[t].dtype == torch.float32
        torch.testing.assert_close(found.entropy[t].double(), expected.entropy[t], rtol=2e-6, atol=2e-6)
    assert not torch.equal(found.logprob, token_statistics(hidden, head, targets).logprob)


def test_autocast_gradients_within_bfloat16_tolerance():
    def autocast(*arguments):
        with torch.autocast("cpu", torch.bfloat16):
            return token_statistics(*arguments)

    data = inputs()
    values, gradients = errors(autocast, data, TEMPERATURES, upstream(4), 7)
    assert values < 2e-2
    assert gradients < 2e-2
    assert evaluate(autocast, *data, (), upstream(1))[1][1].dtype == torch.float32


def test_gradients_of_certain_tokens_survive_bfloat16():
    """A memorised token pushes with 1 − p, which is less than the spacing of bfloat16's numbers near p = 1."""
    hidden, head, _ = inputs(scale=3, rows=400)
    logits = half_precision_logits(hidden, head).detach()
    targets = logits.argmax(-1)
    p = logits.softmax(-1)
    left = 1 - p.gather(-1, targets[:, None])[:, 0]
    certain = (left > 1e-6) & (left < 1 / 512)
    assert certain.sum() >= 5
    push = torch.nn.functional.one_hot(targets, V) - p
    with torch.autocast("cpu", torch.bfloat16):
        token_statistics(hidden, head, targets).logprob[certain].sum().backward()
    close = {"rtol": 0.02, "atol": 0.1 * float(left[certain].mean())}
    torch.testing.assert_close(
        hidden.grad[certain].double(), push[certain] @ head.detach().bfloat16().double(), **close
    )
    torch.testing.assert_close(head.grad.double(), push[certain].T @ hidden.detach()[certain].double(), **close)


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(ValueError, match="temperatures must be positive"):
        token_statistics(*inputs(), (1.0, temperature))


@pytest.mark.parametrize("function", [token_statistics, token_scores])
def test_shapes_and_targets_are_checked(function):
    hidden, head, targets = inputs()
    with pytest.raises(ValueError, match=r"are not \[N, H\] and \[V, H\]"):
        function(hidden[:, :-1], head, targets)
    with pytest.raises(ValueError, match=r"are not \[N, H\] and \[V, H\]"):
        function(hidden[None], head, targets)
    with pytest.raises(ValueError, match=r"targets \(46,\) for 47 tokens"):
        function(hidden, head, targets[:-1])
    for outside in (-100, V):
        with pytest.raises(ValueError, match="outside the vocabulary"):
            function(hidden, head, torch.where(targets == targets[0], outside, targets))


# --- memory and work ----------------------------------------------------------------------------------------


class Recorder(TorchDispatchMode):
    """Largest tensor that any operation returns, and how often each operation ran."""

    def __init__(self):
        super().__init__()
        self.largest, self.calls = 0, {}

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        name = function.overloadpacket.__name__
        self.calls[name] = self.calls.get(name, 0) + 1
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, torch.Tensor):
                self.largest = max(self.largest, value.numel())
        return result


def record(loss_of, rows=64, words=1000, width=4, chunk=8):
    hidden, head, targets = inputs(rows=rows, width=width, words=words)
    with Recorder() as recorder:
        loss = loss_of(hidden, head, targets, chunk)
        if loss.requires_grad:
            loss.backward()
    return recorder


def statistics_loss(hidden, head, targets, chunk):
    result = token_statistics(hidden, head, targets, (1.0, 2.0), chunk)
    return sum(x.square().sum() for x in (result.logprob, *result.entropy.values()))


LOSSES = {
    "statistics": statistics_loss,
    "forms": lambda h, w, t, c: token_statistics(h, w, t, (), c, ALL_FORMS).logprob.sum(),
    "scored forms": lambda h, w, t, c: token_scores(h, w, t, (), c, ALL_FORMS).logprob.sum(),
    "lowered kl": lambda h, w, t, c: token_kl(h, w, h.detach() * 2, w.detach(), c, (t, 10.0)).sum(),
    "kl": lambda h, w, t, c: token_kl(h, w, h.detach() * 2, w.detach(), c).sum(),
    "scores": lambda h, w, t, c: token_scores(h, w, t, (1.0, 2.0), c).std_logprob.sum(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_no_tensor_is_larger_than_a_chunk_of_logits(name):
    recorder = record(LOSSES[name])
    assert recorder.calls["mm"] >= 8  # the recorder did see inside the function
    assert recorder.largest == 8 * 1000  # chunk × V, an eighth of N × V and more than head or hidden


def test_the_recorder_sees_the_naive_version():
    assert record(lambda h, w, t, c: naive(h, w, t).logprob.sum()).largest == 64 * 1000


def test_detached_entropies_cost_nothing_in_the_backward_pass():
    def backward_calls(temperatures):
        hidden, head, targets = inputs()
        logprob = token_statistics(hidden, head, targets, temperatures, 8).logprob.sum()
        with Recorder() as recorder:
            logprob.backward()
        return {name: count for name, count in recorder.calls.items() if name != "detach"}  # unpacking saved tensors

    assert backward_calls((0.5, 1.0, 2.0)) == backward_calls(())


# --- token_kl -----------------------------------------------------------------------------------------------


def naive_kl(hidden, head, reference_hidden, reference_head):
    log_p, log_p0 = (hidden @ head.T).log_softmax(-1), (reference_hidden @ reference_head.T).log_softmax(-1)
    return (log_p0.exp() * (log_p0 - log_p)).sum(-1)


@pytest.mark.parametrize("chunk", [None, *CHUNKS])
def test_kl_values_and_gradients_equal_float64(chunk):
    hidden, head, _ = inputs()
    reference_hidden, reference_head, _ = inputs(width=17, seed=5)  # the starting model may be of another width
    doubles = [x.detach().double().requires_grad_() for x in (hidden, head, reference_hidden, reference_head)]
    expected = naive_kl(*doubles)
    found = token_kl(hidden, head, reference_hidden, reference_head, chunk)
    torch.testing.assert_close(found.double(), expected, rtol=2e-6, atol=2e-6)
    (weights,) = upstream(1)
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    for x, double in zip((hidden, head), doubles, strict=False):
        assert float((x.grad - double.grad).abs().max() / double.grad.abs().max()) < 5e-6
    assert reference_hidden.grad is None  # the starting model is a constant
    assert reference_head.grad is None


def test_kl_direction_by_hand():
    # p0 = (1/2, 1/2), p = (1/4, 3/4): KL(p0 ‖ p) = ½ ln 2 + ½ ln 2/3 = 0.1438, the other direction 0.1308
    hidden, reference = torch.tensor([[1.0, 3.0]]).log(), torch.zeros(1, 2)
    assert token_kl(hidden, torch.eye(2), reference, torch.eye(2)).item() == pytest.approx(0.1438410, abs=1e-6)


def test_kl_of_equal_models_is_zero_and_flat():
    hidden, head, _ = inputs()
    kl = token_kl(hidden, head, hidden.detach(), head.detach(), 7)
    assert torch.equal(kl, torch.zeros(N))
    kl.sum().backward()
    assert not hidden.grad.any()
    assert not head.grad.any()


def test_kl_under_autocast_rounds_the_matrix_product_and_nothing_else():
    hidden, head, _ = inputs()
    eye = torch.eye(V).double()
    logits = [half_precision_logits(x, head) for x in (hidden, 1.2 * hidden)]
    with torch.autocast("cpu", torch.bfloat16):
        found = token_kl(hidden, head, 1.2 * hidden, head)
    torch.testing.assert_close(found.double(), naive_kl(logits[0], eye, logits[1], eye), rtol=1e-5, atol=2e-6)


def test_kl_of_mismatched_models_is_an_error():
    hidden, head, _ = inputs()
    with pytest.raises(ValueError, match="reference of 46 tokens"):
        token_kl(hidden, head, hidden[1:], head)
    with pytest.raises(ValueError, match="122 words"):
        token_kl(hidden, head, hidden, head[1:])


@pytest.mark.parametrize("beta", [0.5, 10.0, 1e4])
@pytest.mark.parametrize("chunk", [None, *CHUNKS])
def test_kl_to_lowered_targets_equals_float64(chunk, beta):
    hidden, head, targets = inputs()
    reference_hidden, reference_head, _ = inputs(width=17, seed=5)
    doubles = [x.detach().double().requires_grad_() for x in (hidden, head)]
    with torch.no_grad():
        logits0 = reference_hidden.double() @ reference_head.double().T
        logits0 -= beta * torch.nn.functional.one_hot(targets, V)
        log_p0 = logits0.log_softmax(-1)
    expected = (log_p0.exp() * (log_p0 - (doubles[0] @ doubles[1].T).log_softmax(-1))).sum(-1)
    found = token_kl(hidden, head, reference_hidden, reference_head, chunk, (targets, beta))
    torch.testing.assert_close(found.double(), expected, rtol=2e-6, atol=2e-6)
    (weights,) = upstream(1)
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    for x, double in zip((hidden, head), doubles, strict=True):
        assert float((x.grad - double.grad).abs().max() / double.grad.abs().max()) < 5e-6
    assert reference_hidden.grad is None
    assert reference_head.grad is None


def test_kl_to_lowered_targets_by_hand():
    # p0 ∝ (1/2 e^-ln 3, 1/2) = (1/4, 3/4), p = (1/2, 1/2): KL = ¼ ln ½ + ¾ ln 3/2 = 0.1308
    found = token_kl(
        torch.zeros(1, 2), torch.eye(2), torch.zeros(1, 2), torch.eye(2), lowered=(torch.tensor([0]), math.log(3))
    )
    assert found.item() == pytest.approx(0.1308120, abs=1e-6)


def test_targets_lowered_by_nothing_give_the_plain_kl():
    hidden, head, targets = inputs()
    reference_hidden, reference_head, _ = inputs(width=17, seed=5)
    plain, lowered = (token_kl(hidden, head, reference_hidden, reference_head, 7, x) for x in (None, (targets, 0.0)))
    assert torch.equal(plain, lowered)
    assert not torch.equal(plain, token_kl(hidden, head, reference_hidden, reference_head, 7, (targets, 1.0)))


# --- token_scores -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [None, *CHUNKS])
def test_scores_equal_float64(chunk):
    hidden, head, targets = inputs()
    targets[::3] = (hidden @ head.T).argmax(-1)[::3]  # some tokens that a greedy model gets right
    scores = token_scores(hidden, head, targets, TEMPERATURES, chunk)
    log_p = (hidden.double() @ head.double().T).log_softmax(-1)
    mean = (log_p.exp() * log_p).sum(-1)
    std = ((log_p.exp() * log_p.square()).sum(-1) - mean.square()).sqrt()
    reference = naive(hidden.double(), head.double(), targets, TEMPERATURES)
    assert torch.equal(scores.greedy, log_p.argmax(-1) == targets)
    assert 0 < int(scores.greedy.sum()) < N
    for found, expected in (
        (scores.logprob, reference.logprob),
        (scores.mean_logprob, mean),
        (scores.std_logprob, std),
        *((scores.entropy[t], reference.entropy[t]) for t in TEMPERATURES),
    ):
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    assert not scores.logprob.requires_grad


def test_scores_equal_the_training_statistics():
    hidden, head, targets = inputs()
    scores, statistics = (f(hidden, head, targets, TEMPERATURES, 7) for f in (token_scores, token_statistics))
    torch.testing.assert_close(scores.logprob, statistics.logprob)
    torch.testing.assert_close(scores.mean_logprob, -statistics.entropy[1.0])
    for t in TEMPERATURES:
        torch.testing.assert_close(scores.entropy[t], statistics.entropy[t])


def test_spread_of_a_flat_prediction_is_clamped():
    scores = token_scores(torch.zeros(2, H), torch.ones(V, H), torch.tensor([0, 5]))
    torch.testing.assert_close(scores.std_logprob, torch.full((2,), 1e-3))  # variance clamped at 1e-6
    torch.testing.assert_close(scores.mean_logprob, torch.full((2,), -4.8121844))  # −ln 123


def test_spread_of_a_nearly_flat_prediction():
    """A difference of Σ p (log p)² ≈ 117 and μ² is right to about 1e-5, a variance of 1e-4 to a tenth."""
    hidden, head = torch.ones(1, 1), 0.01 * torch.randn(50_000, 1, generator=torch.Generator().manual_seed(0))
    log_p = head.double().T.log_softmax(-1)
    mean = (log_p.exp() * log_p).sum(-1, keepdim=True)
    expected = (log_p.exp() * (log_p - mean).square()).sum(-1).sqrt()
    std = token_scores(hidden, head, torch.tensor([0])).std_logprob
    torch.testing.assert_close(std.double(), expected, rtol=1e-4, atol=0)


def test_scores_of_nothing():
    hidden, head, _ = inputs()
    scores = token_scores(hidden[:0], head, torch.empty(0, dtype=torch.long), (2.0,))
    assert [len(x) for x in scores[:4]] == [0, 0, 0, 0]
    assert len(scores.entropy[2.0]) == 0


def test_scores_under_autocast_are_those_of_fp32():
    hidden, head, targets = inputs()
    log_p = (hidden.double() @ head.double().T).log_softmax(-1)
    mean = (log_p.exp() * log_p).sum(-1)
    std = ((log_p.exp() * log_p.square()).sum(-1) - mean.square()).sqrt()
    with torch.autocast("cpu", torch.bfloat16):
        scores = token_scores(hidden, head, targets, (1.0,))
    torch.testing.assert_close(scores.mean_logprob.double(), mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(scores.entropy[1.0].double(), -mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(scores.std_logprob.double(), std, rtol=1e-5, atol=1e-6)
