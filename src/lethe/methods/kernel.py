"""The kernel: what a model says of each token, without ever holding `[tokens × vocab]` logits.

With a vocabulary of 50,304 the logits of 2,048 tokens are 393 MiB in fp32, before softmax and gradient. Everything here
works on chunks of rows, in forward and backward, keeps only a few numbers per token, and recomputes a chunk's logits in
the backward pass. The softmax is always fp32; matrix products run in the dtype of the hidden states, or in autocast's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lethe.methods.logits import entropy_of, log_softmax

if TYPE_CHECKING:
    from lethe.methods.forms import Form

# Below this many rows a chunk costs more in reading the head again than it saves.
CHUNK_ROWS = 64
# Bytes of fp32 logits that one chunk may take. 24 MiB is 125 rows of a 50,304-word vocabulary: large enough that
# matrix products run at full speed, small enough to vanish beside a model's activations.
CHUNK_BYTES = 24 * 2**20


class TokenStatistics(NamedTuple):
    """Per-token results, fp32, nats."""

    logprob: Tensor
    """[N] log-probability of each target."""
    entropy: dict[float, Tensor]
    """temperature -> [N] entropy of the prediction over the full vocabulary."""
    forms: dict[Form, Tensor]
    """form -> [N] other spreads of the prediction; without gradient."""


def chunk_rows(vocabulary: int) -> int:
    """Rows whose fp32 logits fit into `CHUNK_BYTES`, at least `CHUNK_ROWS`."""
    return max(CHUNK_ROWS, CHUNK_BYTES // (4 * vocabulary))


def token_statistics(
    hidden: Tensor,
    head_weight: Tensor,
    targets: Tensor,
    temperatures: tuple[float, ...] = (),
    chunk: int | None = None,
    forms: tuple[Form, ...] = (),
) -> TokenStatistics:
    """Log-probability of each target and entropy of each prediction, in nats, differentiable in both.

    Equal to `log_softmax(hidden @ head_weight.T)` gathered at `targets`, and to the entropy of
    `softmax(hidden @ head_weight.T / T)`; at most `chunk × V` logits exist at a time, backward included.

    Args:
        hidden: [N, H] hidden states of loss-bearing positions only.
        head_weight: [V, H] weight of the output layer, which must be a plain linear map.
        targets: [N] token ids; there is no ignore index, select rows first.
        temperatures: temperatures T > 0 at which entropies are wanted. An entropy that receives no gradient
            (ETW's weights are detached) costs nothing in the backward pass.
        chunk: rows per chunk; None takes as many as fit into 24 MiB.
        forms: further spreads wanted (`lethe.methods.forms`), as weights only: nothing is back-propagated through them.

    Raises:
        ValueError: on shapes that do not fit, or a temperature that is not positive.
    """
    _check(hidden, head_weight, targets)
    dtype = _product_dtype(hidden)
    temperatures, forms = tuple(dict.fromkeys(temperatures)), tuple(dict.fromkeys(forms))
    if any(not temperature > 0 for temperature in temperatures):
        raise ValueError(f"temperatures must be positive, got {temperatures}")
    with _no_autocast(hidden):
        outputs = _TokenStatistics.apply(
            hidden,
            head_weight,
            targets,
            temperatures,
            forms,
            chunk or chunk_rows(len(head_weight)),
            dtype,
        )
    entropies, spreads = outputs[1 : 1 + len(temperatures)], outputs[1 + len(temperatures) :]
    return TokenStatistics(
        outputs[0], dict(zip(temperatures, entropies, strict=True)), dict(zip(forms, spreads, strict=True))
    )


class _TokenStatistics(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, head_weight, targets, temperatures, forms, chunk, dtype):
        head = head_weight.to(dtype)
        rows = len(hidden)
        logprob = hidden.new_empty(rows, dtype=torch.float32)
        log_normalisers = hidden.new_empty((rows, len(temperatures)), dtype=torch.float32)
        normaliser = torch.empty_like(logprob)
        entropies = [torch.empty_like(logprob) for _ in temperatures]
        spreads = [torch.empty_like(logprob) for _ in forms]
        work = hidden.new_empty((min(chunk, rows), len(head)), dtype=torch.float32)
        for start in range(0, rows, chunk):
            part = slice(start, start + chunk)
            logits = _logits(hidden[part], head, dtype)  # [c, V]
            largest, first = logits.max(-1)
            logits -= largest[:, None]
            for temperature in {1.0, *temperatures}:
                p = torch.mul(logits, 1 / temperature, out=work[: len(logits)]).exp_()  # not yet normalised
                # The likeliest word's 1 is added last: in fp32 it would swallow the small shares of the others.
                others = p.scatter_(-1, first[:, None], 0).sum(-1)
                total, log_total = 1 + others, others.log1p()
                if temperature == 1:
                    normaliser[part] = largest + log_total
                    logprob[part] = logits.gather(-1, targets[part, None]).squeeze(-1) - log_total
                if temperature in temperatures:
                    k = temperatures.index(temperature)
                    log_normalisers[part, k] = largest / temperature + log_total
                    # ln Σ − Σ p·z on logits shifted to z ≤ 0: both terms are positive, so nothing cancels, as it
                    # would on raw logits of a confident token. The likeliest word has z = 0 and adds nothing.
                    entropies[k][part] = log_total - torch.linalg.vecdot(p, logits) / (total * temperature)
            for spread, form in zip(spreads, forms, strict=True):
                spread[part] = form.of(logits)
            del logits
        ctx.save_for_backward(hidden, head_weight, targets, normaliser, log_normalisers, *entropies)
        ctx.temperatures, ctx.chunk, ctx.dtype = temperatures, chunk, dtype
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*spreads)
        return (logprob, *entropies, *spreads)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_logprob, *gradients):
        hidden, head_weight, targets, normaliser, log_normalisers, *entropies = ctx.saved_tensors
        need_hidden, need_head = ctx.needs_input_grad[:2]
        grad_entropies = gradients[: len(entropies)]
        wanted = [k for k, gradient in enumerate(grad_entropies) if gradient is not None]
        head = head_weight.to(ctx.dtype)
        grad_hidden = torch.zeros_like(hidden) if need_hidden else None
        # fp32: rounding each chunk's contribution to bf16 would bias training.
        grad_head = torch.zeros_like(head_weight, dtype=torch.float32) if need_head else None
        if grad_logprob is None and not wanted:
            return _input_gradients(grad_hidden, grad_head, head_weight, 5)
        for start in range(0, len(hidden), ctx.chunk):
            part = slice(start, start + ctx.chunk)
            logits = _logits(hidden[part], head, ctx.dtype)  # [c, V]
            if not wanted:
                _accumulate_logprob(
                    logits, normaliser, grad_logprob, targets, hidden, head, grad_hidden, grad_head, part
                )
                continue
            gradient = None
            for k in wanted:
                temperature = ctx.temperatures[k]
                log_p = logits / temperature - log_normalisers[part, k, None]
                # dH/dz = −p (log p + H) / T
                term = log_p.exp() * (log_p + entropies[k][part, None])
                term *= (-grad_entropies[k][part] / temperature)[:, None]
                gradient = term if gradient is None else gradient.add_(term)
                del log_p, term
            if grad_logprob is not None:
                # d log p_y / dz = onehot(y) − p
                p = logits.sub_(normaliser[part, None]).exp_()
                p *= -grad_logprob[part, None]
                p.scatter_add_(-1, targets[part, None], grad_logprob[part, None])
                gradient = p if gradient is None else gradient.add_(p)
                del p
            _accumulate(gradient.to(ctx.dtype), hidden[part], head, grad_hidden, grad_head, part)
            del logits, gradient
        return _input_gradients(grad_hidden, grad_head, head_weight, 5)


def token_kl(
    hidden: Tensor,
    head_weight: Tensor,
    reference_hidden: Tensor,
    reference_head: Tensor,
    chunk: int | None = None,
    lowered: tuple[Tensor, float] | None = None,
) -> Tensor:
    """KL(p₀ ‖ p) of each prediction over the full vocabulary, nats, [N] fp32; differentiable in hidden and head.

    p₀ comes from `reference_hidden` [N, H₀] and `reference_head` [V, H₀], p from `hidden` [N, H] and `head_weight`
    [V, H]; like `token_statistics`, it never holds more than a few `chunk × V` arrays. `lowered` = (targets [N], β)
    takes β off the logit of each target before p₀'s softmax (UNDIAL's soft label, arXiv 2402.10052).
    """
    if len(reference_hidden) != len(hidden) or len(reference_head) != len(head_weight):
        raise ValueError(
            f"reference of {len(reference_hidden)} tokens and {len(reference_head)} words for "
            f"{len(hidden)} tokens and {len(head_weight)} words"
        )
    dtype, chunk = _product_dtype(hidden), chunk or max(1, chunk_rows(len(head_weight)) // 2)
    targets, beta = lowered if lowered is not None else (None, 0.0)
    with _no_autocast(hidden):
        return _TokenKL.apply(hidden, head_weight, reference_hidden, reference_head, targets, beta, chunk, dtype)


class _TokenKL(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, head_weight, reference_hidden, reference_head, targets, beta, chunk, dtype):
        head, reference = head_weight.to(dtype), reference_head.to(dtype)
        kl = hidden.new_empty(len(hidden), dtype=torch.float32)
        for start in range(0, len(hidden), chunk):
            part = slice(start, start + chunk)
            log_p = _logits(hidden[part], head, dtype).log_softmax(-1)
            log_p0 = _lowered(_logits(reference_hidden[part], reference, dtype), targets, beta, part).log_softmax(-1)
            kl[part] = torch.linalg.vecdot(log_p0.exp(), log_p0 - log_p)
            del log_p, log_p0
        ctx.save_for_backward(hidden, head_weight, reference_hidden, reference_head, targets)
        ctx.chunk, ctx.dtype, ctx.beta = chunk, dtype, beta
        return kl

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        hidden, head_weight, reference_hidden, reference_head, targets = ctx.saved_tensors
        head, reference = head_weight.to(ctx.dtype), reference_head.to(ctx.dtype)
        grad_hidden = torch.zeros_like(hidden) if ctx.needs_input_grad[0] else None
        grad_head = torch.zeros_like(head_weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        for start in range(0, len(hidden), ctx.chunk):
            part = slice(start, start + ctx.chunk)
            # d KL / dz = p − p₀
            gradient = _logits(hidden[part], head, ctx.dtype).softmax(-1)
            logits0 = _logits(reference_hidden[part], reference, ctx.dtype)
            gradient -= _lowered(logits0, targets, ctx.beta, part).softmax(-1)
            gradient *= grad[part, None]
            _accumulate(gradient.to(ctx.dtype), hidden[part], head, grad_hidden, grad_head, part)
            del gradient, logits0
        return _input_gradients(grad_hidden, grad_head, head_weight, 6)


def _lowered(logits: Tensor, targets: Tensor | None, beta: float, part: slice) -> Tensor:
    """Logits with β taken off each target's, in place; unchanged without targets."""
    if targets is None:
        return logits
    target = targets[part, None]
    return logits.scatter_add_(-1, target, torch.full_like(target, -beta, dtype=logits.dtype))


class TokenScores(NamedTuple):
    """What evaluation and the token table want to know of a prediction, without gradient; fp32."""

    logprob: Tensor
    """[N] log-probability of the target, nats."""
    greedy: Tensor
    """[N] bool, the arg-max prediction equals the target."""
    mean_logprob: Tensor
    """[N] μ = Σ p log p, nats; the negative entropy at T = 1."""
    std_logprob: Tensor
    """[N] σ = √(Σ p (log p − μ)²), variance clamped at 1e-6 (Min-K++ as in locuslab/open-unlearning), nats."""
    entropy: dict[float, Tensor]
    """temperature -> [N] entropy, nats."""
    forms: dict[Form, Tensor]
    """form -> [N] other spreads of the prediction."""


@torch.no_grad()
def token_scores(
    hidden: Tensor,
    head_weight: Tensor,
    targets: Tensor,
    temperatures: tuple[float, ...] = (),
    chunk: int | None = None,
    forms: tuple[Form, ...] = (),
) -> TokenScores:
    """Everything that is scored about a token, from one look at its logits; arguments as in `token_statistics`."""
    _check(hidden, head_weight, targets)
    # fp32 whatever the body ran in: bf16 logits of 16 to 32 are 0.125 apart, and the largest would often be tied.
    dtype = torch.float32
    head = head_weight.to(dtype)
    chunk = chunk or chunk_rows(len(head_weight))
    temperatures, forms = tuple(dict.fromkeys(temperatures)), tuple(dict.fromkeys(forms))
    empty = [hidden.new_empty(0, dtype=torch.float32)]
    logprob, greedy, mean, std = (
        list(empty),
        [hidden.new_empty(0, dtype=torch.bool)],
        list(empty),
        list(empty),
    )
    entropy: dict[float, list[Tensor]] = {temperature: list(empty) for temperature in temperatures}
    spreads: dict[Form, list[Tensor]] = {form: list(empty) for form in forms}
    with _no_autocast(hidden):
        for start in range(0, len(hidden), chunk):
            part = slice(start, start + chunk)
            logits = _logits(hidden[part], head, dtype)
            greedy.append(logits.argmax(-1) == targets[part])
            log_p = log_softmax(logits)
            p = log_p.exp()
            logprob.append(log_p.gather(-1, targets[part, None]).squeeze(-1))
            mean.append(torch.linalg.vecdot(p, log_p))
            # Not Σ p (log p)² − μ²: of a flat prediction that leaves only the rounding of two equal sums.
            squares = log_p.sub_(mean[-1][:, None]).square_()
            std.append(torch.linalg.vecdot(p, squares).clamp(min=1e-6).sqrt())
            del log_p, p, squares
            for temperature in temperatures:
                entropy[temperature].append(
                    -mean[-1] if temperature == 1 else entropy_of(log_softmax(logits / temperature))
                )
            for form in forms:
                spreads[form].append(form.of(logits))
    return TokenScores(
        torch.cat(logprob),
        torch.cat(greedy),
        torch.cat(mean),
        torch.cat(std),
        {temperature: torch.cat(values) for temperature, values in entropy.items()},
        {form: torch.cat(values) for form, values in spreads.items()},
    )


def _check(hidden: Tensor, head_weight: Tensor, targets: Tensor) -> None:
    if hidden.ndim != 2 or head_weight.ndim != 2 or hidden.shape[1] != head_weight.shape[1]:
        raise ValueError(f"hidden {tuple(hidden.shape)} and head {tuple(head_weight.shape)} are not [N, H] and [V, H]")
    if targets.shape != hidden.shape[:1]:
        raise ValueError(f"targets {tuple(targets.shape)} for {len(hidden)} tokens")
    if len(targets) and (int(targets.min()) < 0 or int(targets.max()) >= len(head_weight)):
        raise ValueError("targets outside the vocabulary; there is no ignore index, select loss-bearing rows first")


def _product_dtype(hidden: Tensor) -> torch.dtype:
    """Dtype of the matrix products: autocast's where it is on (custom functions are not autocast by themselves)."""
    device = hidden.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype


def _no_autocast(hidden: Tensor) -> torch.autocast:
    """Softmax and sums stay fp32: autocast would round even a dot product of fp32 vectors to bf16."""
    return torch.autocast(hidden.device.type, enabled=False)


def _logits(hidden: Tensor, head: Tensor, dtype: torch.dtype) -> Tensor:
    """[c, V] logits in fp32."""
    return (hidden.to(dtype) @ head.T).float()


def _input_gradients(grad_hidden, grad_head, head_weight, others: int) -> tuple:
    """What `backward` returns: gradients of the first two inputs, none of the others."""
    if grad_head is not None:
        grad_head = grad_head.to(head_weight.dtype)
    return grad_hidden, grad_head, *[None] * others


def _accumulate_logprob(logits, normaliser, grad, targets, hidden, head, grad_hidden, grad_head, part) -> None:
    """Carry d log p_y / dz = onehot(y) − p on to hidden states and head, without writing the product with `grad`.

    The upstream gradient scales rows, so it is applied to [c, H] factors instead of the [c, V] one.
    """
    p = logits.sub_(normaliser[part, None]).exp_()
    # Before rounding: what is left to a certain token, 1 − p, would not survive bf16 (numbers below 1 are 1/256 apart).
    p.scatter_add_(-1, targets[part, None], p.new_full((len(p), 1), -1.0))
    p, row = p.to(head.dtype), grad[part, None]
    if grad_hidden is not None:
        grad_hidden[part] = (-row * (p @ head).float()).to(grad_hidden.dtype)
    if grad_head is not None:
        scaled = row * hidden[part].float()
        if p.dtype == torch.float32:
            grad_head.addmm_(p.T, scaled, alpha=-1)
        else:
            grad_head -= p.T @ scaled.to(p.dtype)


def _accumulate(gradient, hidden, head, grad_hidden, grad_head, part) -> None:
    """Carry a chunk's logit gradient [c, V] on to hidden states and head."""
    if grad_hidden is not None:
        grad_hidden[part] = (gradient @ head).to(grad_hidden.dtype)
    if grad_head is not None:
        hidden = hidden.to(gradient.dtype)
        if gradient.dtype == torch.float32:
            grad_head.addmm_(gradient.T, hidden)
        else:
            grad_head += gradient.T @ hidden
