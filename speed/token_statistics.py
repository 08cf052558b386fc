"""What Lethe's kernel saves: log-probability and entropy per token without the [tokens × vocabulary] logits.

Lethe: `lethe.methods.kernel.token_statistics`, chunk by chunk, recomputed in the backward pass. Plain: the logits
whole, log-softmax, gather, entropy, automatic differentiation. Both get the same hidden states, head and random
upstream gradients (ones would hide an error of the kind of Liger-Kernel #1298). Entropy at T = 1 is used in two
ways: as a weight, through which nothing is back-propagated (ETW, arXiv 2604.17785), and differentiated too.

    python speed/token_statistics.py [--dtype bf16] [--json FILE]
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from measure_peak import (
    Pass,
    Stopwatch,
    argument_parser,
    available_bytes,
    compare,
    device_of,
    finish,
    markdown,
    relative_difference,
)

from lethe.methods.kernel import token_statistics

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
TOLERANCE = {"fp32": 1e-4, "bf16": 2e-2}
"""Largest accepted relative difference of values and gradients."""
PLAIN_COPIES = 6
"""Arrays of [N, V] fp32 that the plain way is expected to hold at once; decides how many tokens fit."""

COLUMNS = {
    "tokens": ("N", "d"),
    "vocab": ("V", "d"),
    "entropy": ("entropy", ""),
    "plain_forward_s": ("plain fwd s", ".3g"),
    "plain_backward_s": ("plain bwd s", ".3g"),
    "lethe_forward_s": ("Lethe fwd s", ".3g"),
    "lethe_backward_s": ("Lethe bwd s", ".3g"),
    "time_ratio": ("time Lethe/plain", ".2f"),
    "plain_peak_mib": ("plain peak MiB", ".0f"),
    "lethe_peak_mib": ("Lethe peak MiB", ".0f"),
    "peak_ratio": ("peak Lethe/plain", ".2f"),
    "value_difference": ("values differ", ".0e"),
    "gradient_difference": ("gradients differ", ".0e"),
}


@dataclass(frozen=True)
class Problem:
    """Sizes N, H, V, dtype of hidden states and head, whether the entropy is differentiated, where it runs, and the
    kernel's rows per chunk (None: its own choice)."""

    tokens: int
    hidden: int
    vocab: int
    dtype: str
    differentiate_entropy: bool
    device: torch.device
    chunk: int | None = None

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """hidden [N, H] and head [V, H] that want gradients; targets, upstream gradients of both outputs [N]."""
        generator = torch.Generator().manual_seed(0)
        hidden = torch.randn(self.tokens, self.hidden, generator=generator)
        head = torch.randn(self.vocab, self.hidden, generator=generator) * 2 / self.hidden**0.5
        targets = torch.randint(self.vocab, (self.tokens,), generator=generator)
        upstream = [torch.rand(self.tokens, generator=generator).to(self.device) for _ in range(2)]
        leaves = [t.to(self.device, DTYPES[self.dtype]).requires_grad_() for t in (hidden, head)]
        return *leaves, targets.to(self.device), *upstream


def plain(hidden, head, targets, problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    log_p = (hidden @ head.T).float().log_softmax(-1)  # [N, V]
    logprob = log_p.gather(-1, targets[:, None]).squeeze(-1)
    with torch.set_grad_enabled(problem.differentiate_entropy):
        entropy = -(log_p.exp() * log_p).sum(-1)
    return logprob, entropy


def lethe(hidden, head, targets, problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    statistics = token_statistics(hidden, head, targets, (1.0,), problem.chunk)
    return statistics.logprob, statistics.entropy[1.0]


def prepare(function, problem: Problem) -> Pass:
    hidden, head, targets, grad_logprob, grad_entropy = problem.tensors()

    def run():
        clock = Stopwatch(problem.device)
        with clock("forward"):
            logprob, entropy = function(hidden, head, targets, problem)
        outputs, upstream = [logprob], [grad_logprob]
        if problem.differentiate_entropy:
            outputs.append(entropy)
            upstream.append(grad_entropy)
        with clock("backward"):
            grad_hidden, grad_head = torch.autograd.grad(outputs, [hidden, head], upstream)
        values = {"logprob": logprob, "entropy": entropy, "grad_hidden": grad_hidden, "grad_head": grad_head}
        return clock.seconds, values

    return run


def row(problem: Problem, arguments, isolated: bool) -> dict[str, object]:
    ways = {"plain": partial(prepare, plain, problem), "lethe": partial(prepare, lethe, problem)}
    outcome = compare(ways, problem.device, arguments.threads, arguments.repetitions, isolated=isolated)
    theirs, ours = outcome["plain"], outcome["lethe"]
    differences = {key: relative_difference(ours.values[key], theirs.values[key]) for key in theirs.values}
    return {
        "tokens": problem.tokens,
        "vocab": problem.vocab,
        "dtype": problem.dtype,
        "entropy": "differentiated" if problem.differentiate_entropy else "weight",
        **{f"{way}_{phase}_s": outcome[way].seconds(phase) for way in ways for phase in ("forward", "backward")},
        "time_ratio": ours.seconds() / theirs.seconds(),
        "plain_peak_mib": theirs.peak_mib,
        "lethe_peak_mib": ours.peak_mib,
        "peak_ratio": ours.peak_mib / theirs.peak_mib if theirs.peak_mib > 0 else None,
        "value_difference": max(differences["logprob"], differences["entropy"]),
        "gradient_difference": max(differences["grad_hidden"], differences["grad_head"]),
    }


def tokens_that_fit(vocab: int, most: int, device: torch.device) -> int:
    """Tokens for which the plain way takes about half of the available memory, at least 64 and at most `most`."""
    fit = available_bytes(device) // 2 // (PLAIN_COPIES * 4 * vocab)
    return int(min(most, max(64, fit // 64 * 64)))


def main(argv: Sequence[str] | None = None, isolated: bool = True) -> int:
    parser = argument_parser(__doc__, repetitions=5)
    parser.add_argument("--tokens", type=int, default=2048, help="N (%(default)s)")
    parser.add_argument("--hidden", type=int, default=512, help="H (%(default)s)")
    parser.add_argument("--vocab", type=int, default=50304, help="V (%(default)s)")
    parser.add_argument("--large-vocab", type=int, default=128256, help="second V; 0: none (%(default)s)")
    parser.add_argument(
        "--large-tokens", type=int, help="N at the second V (what fits into half of the free memory, up to 8192)"
    )
    parser.add_argument("--dtype", choices=list(DTYPES), default="fp32", help="of inputs (%(default)s)")
    parser.add_argument("--chunk", type=int, help="rows per chunk of the kernel (its own choice)")
    arguments = parser.parse_args(argv)
    device = device_of(arguments.device)
    sizes = [(arguments.tokens, arguments.vocab)]
    if arguments.large_vocab:
        large = arguments.large_tokens or tokens_that_fit(arguments.large_vocab, 8192, device)
        sizes.append((large, arguments.large_vocab))
    rows = [
        row(
            Problem(n, arguments.hidden, v, arguments.dtype, differentiate, device, arguments.chunk),
            arguments,
            isolated,
        )
        for n, v in sizes
        for differentiate in (False, True)
    ]
    tolerance = TOLERANCE[arguments.dtype]
    worst = max(max(r["value_difference"], r["gradient_difference"]) for r in rows)
    disagreement = f"relative difference {worst:.0e}, accepted are {tolerance:.0e}"
    return finish(
        "token_statistics",
        arguments,
        device,
        {"rows": rows},
        [
            f"H = {arguments.hidden}, {arguments.dtype}; peak: memory above what was held before the pass; "
            "differ: max |Lethe − plain| / max |plain|.",
            markdown(rows, COLUMNS),
            "Expected: peak ≤ 0.3 and time ≤ 1.1 of the plain way.",
        ],
        disagreement if worst > tolerance else None,
    )


if __name__ == "__main__":
    sys.exit(main())
