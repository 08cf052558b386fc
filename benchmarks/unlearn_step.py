"""What one optimiser step of unlearning costs: Lethe's task against the plain way of the field's framework.

Plain is how locuslab/open-unlearning works, written anew from its description: the model computes the logits of
all positions and its own mean loss, whether the method uses that or not; per-token losses are taken on the
transposed (B, V, S) layout; the forget graph is kept until the retain pass is done, then the sum is
back-propagated once; NPO runs a frozen copy of the starting model in every step, and WGA holds one without using
it. ETW has no counterpart there; its plain way takes the entropy from the full logits and holds no copy.

Same model, same batch, same optimiser, same clipping. Both ways start from a model some way off the starting
model, where NPO's loss is not trivial; losses and gradient norm of the first step must agree.

    python benchmarks/unlearn_step.py [--vocab 128256] [--json FILE]
"""

import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from measure_peak import (
    Pass,
    Stopwatch,
    argument_parser,
    compare,
    device_of,
    finish,
    markdown,
    relative_difference,
    tensor_mib,
)
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from lethe.config import MethodConfig, TrainingConfig
from lethe.device import autocast, autocast_dtype, seed_everything
from lethe.forward import Question, score_answers
from lethe.prompts import Example
from lethe.train import Context, make_optimizer
from lethe.unlearn import Unlearning

METHODS = {
    "GradDiff": MethodConfig(weighting="uniform", objective="ascent", retain="nll"),
    "WGA": MethodConfig(weighting="confidence", objective="ascent", retain="nll"),
    "NPO": MethodConfig(weighting="uniform", objective="npo", retain="nll"),
    "ETW": MethodConfig(weighting="entropy", objective="ascent", retain="nll"),
}
COPIES = ("WGA", "NPO")
"""Methods whose plain way holds a frozen copy of the starting model."""
COMPARED = ("loss_forget", "loss_retain", "gradient_norm")
TOLERANCE = {"float32": 5e-4, "bfloat16": 1e-1}
"""Largest accepted relative difference of losses and gradient norm. In fp32 it is the plain way that needs it: on the
transposed layout the softmax adds V terms one after the other, and at 128,256 words a log-probability is off by 2e-4
nats against float64 (Lethe's by 5e-6). In bf16 a logit of 20 is only known to 0.06 nats."""

COLUMNS = {
    "method": ("method", ""),
    "plain_s": ("plain s", ".3g"),
    "lethe_s": ("Lethe s", ".3g"),
    "speed_up": ("times faster", ".2f"),
    "plain_peak_mib": ("plain peak MiB", ".0f"),
    "lethe_peak_mib": ("Lethe peak MiB", ".0f"),
    "peak_ratio": ("peak Lethe/plain", ".2f"),
    "plain_held_mib": ("plain held MiB", ".0f"),
    "lethe_held_mib": ("Lethe held MiB", ".0f"),
    "loss_forget": ("forget loss", ".5g"),
    "loss_retain": ("retain loss", ".5g"),
    "difference": ("losses differ", ".0e"),
}


@dataclass(frozen=True)
class Problem:
    """Sizes of model and batch, precision, and where the step runs."""

    vocab: int
    hidden: int
    layers: int
    heads: int
    rows: int
    tokens: int
    labelled: int
    precision: str
    device: torch.device

    def model(self) -> PreTrainedModel:
        """The starting model. A fresh one predicts all words alike, so that weights would be alike too: a larger
        final norm gives logits a standard deviation of 3."""
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=self.vocab,
            hidden_size=self.hidden,
            intermediate_size=self.hidden * 43 // 16,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=max(1, self.heads // 2),
            max_position_embeddings=self.tokens,
            tie_word_embeddings=True,
        )
        model = LlamaForCausalLM(config)
        with torch.no_grad():
            model.model.norm.weight.fill_(3 / (config.initializer_range * self.hidden**0.5))
        return model.to(self.device).train()

    @torch.no_grad()
    def perturbed(self, start: PreTrainedModel) -> PreTrainedModel:
        """The model that is trained: the starting model a little way off."""
        model, generator = copy.deepcopy(start), torch.Generator().manual_seed(1)
        for parameter in model.parameters():
            parameter += (0.002 * torch.randn(parameter.shape, generator=generator)).to(self.device)
        return model

    def examples(self, split: str) -> list[Example]:
        """Rows of `tokens` random tokens, the last `labelled` of which bear loss.

        Each token stands twice: with tied embeddings the model expects the last token again, so that likely and
        unlikely labels alternate.
        """
        generator = np.random.default_rng(list(split.encode()))
        ids = generator.integers(self.vocab, size=(self.rows, self.tokens // 2 + 1))
        ids = np.repeat(ids, 2, axis=1)[:, : self.tokens].tolist()
        cut, spans = self.tokens - self.labelled, [(i, i + 1) for i in range(self.labelled)]
        return [Example(f"{split}-{i}", row[:cut], row[cut:], spans) for i, row in enumerate(ids)]

    def training(self) -> TrainingConfig:
        return TrainingConfig(batch_size=self.rows, precision=self.precision)

    def dtype(self) -> torch.dtype | None:
        return autocast_dtype(self.precision, self.device)


def one_step(model: PreTrainedModel, problem: Problem, held: Sequence[Tensor], backward) -> Pass:
    """A pass: `backward()` fills gradients and returns losses; then clipping and AdamW, as in Lethe's loop."""
    training = problem.training()
    optimizer = make_optimizer(model, training)

    def run():
        clock = Stopwatch(problem.device)
        with clock("step"):
            losses = backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), training.max_grad_norm)
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)  # gradients count towards the step's peak, not to what is held
        states = [value for state in optimizer.state.values() for value in state.values()]
        held_mib = tensor_mib(*model.parameters(), *states, *held)
        return clock.seconds, {**losses, "gradient_norm": norm, "held_mib": held_mib}

    return run


def lethe(problem: Problem, method: str) -> Pass:
    seed_everything(0)  # as the training loop does: its deterministic kernels are part of the cost
    start = problem.model()
    forget, retain = problem.examples("forget"), problem.examples("retain")
    scores, _ = score_answers(start, [Question(e.prompt, [e.answer]) for e in forget], dtype=problem.dtype())
    table = pd.DataFrame(
        {
            "sample": np.repeat([e.sample for e in forget], problem.labelled),
            "position": np.tile(np.arange(problem.labelled), len(forget)),
            "token_id": np.concatenate([e.answer for e in forget]),
            "logprob": torch.cat([answers[0].logprob for answers in scores]).numpy(),
        }
    )
    model = problem.perturbed(start)
    del start
    task = Unlearning(METHODS[method], forget, retain, table, seed=0, hidden_size=problem.hidden)
    context = Context(model, problem.training(), seed=0, gpus=int(problem.device.type == "cuda"))
    return one_step(model, problem, [], lambda: task.backward(np.arange(problem.rows), context))


def plain(problem: Problem, method: str) -> Pass:
    start = problem.model()
    model = problem.perturbed(start)
    copied = start.eval().requires_grad_(False) if method in COPIES else None
    del start
    forget, retain = (_batch(problem.examples(split), problem.device) for split in ("forget", "retain"))

    def backward():
        with autocast(problem.device, problem.dtype()):
            loss_forget = PLAIN_LOSSES[method](model, copied, forget)
            loss_retain = model(**retain).loss
            loss = loss_forget + loss_retain
        loss.backward()
        return {"loss_forget": loss_forget, "loss_retain": loss_retain}

    return one_step(model, problem, [] if copied is None else list(copied.parameters()), backward)


def _batch(examples: list[Example], device: torch.device) -> dict[str, Tensor]:
    ids = torch.tensor([e.prompt + e.answer for e in examples], device=device)
    labels = torch.tensor([[-100] * len(e.prompt) + e.answer for e in examples], device=device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def _token_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """[B, S−1] cross-entropy of each position, 0 at ignored ones, on the transposed layout."""
    shifted = logits[:, :-1].contiguous()
    return cross_entropy(shifted.transpose(1, 2).float(), labels[:, 1:], reduction="none")


def _grad_diff(model, copied, batch) -> Tensor:
    return -model(**batch).loss


def _wga(model, copied, batch) -> Tensor:
    outputs = model(**batch)
    losses = _token_losses(outputs.logits, batch["labels"])
    weights = (-losses).exp().detach()
    return -(weights * losses)[batch["labels"][:, 1:] != -100].mean()


def _npo(model, copied, batch, beta: float = 0.1) -> Tensor:
    outputs = model(**batch)
    current = _token_losses(outputs.logits, batch["labels"]).sum(-1)  # [B]
    with torch.no_grad():
        reference = _token_losses(copied(**batch).logits, batch["labels"]).sum(-1)
    return (-2 / beta * logsigmoid(beta * (current - reference))).mean()


def _etw(model, copied, batch) -> Tensor:
    outputs = model(**batch)
    losses = _token_losses(outputs.logits, batch["labels"])
    mask = batch["labels"][:, 1:] != -100
    with torch.no_grad():
        log_p = outputs.logits[:, :-1].float().log_softmax(-1)  # [B, S−1, V]
        entropy = -(log_p.exp() * log_p).sum(-1) * mask
        del log_p
        weights = entropy * mask.sum(1, keepdim=True) / entropy.sum(1, keepdim=True)
    return -(weights * losses).sum() / mask.sum()


PLAIN_LOSSES = {"GradDiff": _grad_diff, "WGA": _wga, "NPO": _npo, "ETW": _etw}


def row(problem: Problem, method: str, arguments, isolated: bool) -> tuple[dict, dict | None]:
    """The row of a method; and for ETW how it compares with GradDiff inside Lethe, taken in turn with it."""
    ways = {"plain": partial(plain, problem, method), "lethe": partial(lethe, problem, method)}
    if method == "ETW":
        ways["GradDiff"] = partial(lethe, problem, "GradDiff")
    outcome = compare(ways, problem.device, arguments.threads, arguments.repetitions, isolated=isolated)
    theirs, ours = outcome["plain"], outcome["lethe"]
    held = {name: float(outcome[name].values["held_mib"]) for name in ("plain", "lethe")}
    result = {
        "method": method,
        "plain_s": theirs.seconds(),
        "lethe_s": ours.seconds(),
        "speed_up": theirs.seconds() / ours.seconds(),
        "plain_peak_mib": theirs.peak_mib,
        "lethe_peak_mib": ours.peak_mib,
        "peak_ratio": ours.peak_mib / theirs.peak_mib if theirs.peak_mib > 0 else None,
        "plain_held_mib": held["plain"],
        "lethe_held_mib": held["lethe"],
        **{key: float(ours.values[key]) for key in COMPARED},
        "difference": max(relative_difference(ours.values[key], theirs.values[key]) for key in COMPARED),
    }
    if method != "ETW":
        return result, None
    base = outcome["GradDiff"]
    peak = ours.peak_mib / base.peak_mib if base.peak_mib > 0 else None
    return result, {"time_ratio": ours.seconds() / base.seconds(), "peak_ratio": peak}


def main(argv: Sequence[str] | None = None, isolated: bool = True) -> int:
    parser = argument_parser(__doc__, repetitions=7)
    add = parser.add_argument
    add("--vocab", type=int, default=32000, help="words; 128256 is Llama 3's (%(default)s)")
    add("--hidden", type=int, default=256, help="hidden size (%(default)s)")
    add("--layers", type=int, default=4, help="(%(default)s)")
    add("--heads", type=int, default=4, help="attention heads, half as many for keys (%(default)s)")
    add("--rows", type=int, default=8, help="forget rows, and as many retain rows (%(default)s)")
    add("--tokens", type=int, default=128, help="tokens of a row (%(default)s)")
    add("--labelled", type=int, default=88, help="of them bear loss (%(default)s)")
    add("--precision", choices=list(TOLERANCE), default="float32", help="(%(default)s)")
    add("--methods", nargs="+", choices=list(METHODS), default=list(METHODS), help="(all)")
    arguments = parser.parse_args(argv)
    if not 0 < arguments.labelled < arguments.tokens:
        parser.error("--labelled must be at least 1 and less than --tokens: a row starts with a prompt")
    device = device_of(arguments.device)
    sizes = ("vocab", "hidden", "layers", "heads", "rows", "tokens", "labelled", "precision")
    problem = Problem(**{key: getattr(arguments, key) for key in sizes}, device=device)
    rows, etw = [], None
    for method in arguments.methods:
        result, ratios = row(problem, method, arguments, isolated)
        rows.append(result)
        etw = ratios or etw
    tolerance = TOLERANCE[arguments.precision]
    wrong = [r["method"] for r in rows if not r["difference"] <= tolerance]
    worst = max(r["difference"] for r in rows)
    text = [
        f"Llama, hidden {problem.hidden}, {problem.layers} layers, {problem.vocab} words, {problem.precision}; "
        f"forget and retain {problem.rows} × {problem.tokens} tokens each, {problem.labelled} labelled. Held: "
        "weights, AdamW's state, frozen copies; peak: what a step takes on top of that, gradients included.",
        markdown(rows, COLUMNS),
        f"Losses and gradient norm of the first step differ by at most {worst:.0e} (relative; accepted are "
        f"{tolerance:.0e}).",
    ]
    if etw is not None:
        peak = "–" if etw["peak_ratio"] is None else f"{etw['peak_ratio']:.2f}"
        text.append(f"ETW / GradDiff within Lethe: time {etw['time_ratio']:.2f}, peak {peak}. Expected: ≤ 1.05.")
    text.append(
        "Expected at 32,000 words: ≥ 2 times faster on NPO, ≥ 1.4 on GradDiff and WGA, peak ≤ 0.65; at 128,256 "
        "words: ≥ 3 on NPO, ≥ 1.9 on GradDiff, peak ≤ 0.57."
    )
    disagreement = f"losses or gradient norm of {', '.join(wrong)}" if wrong else None
    tables = {"rows": rows, "etw_to_graddiff": etw}
    return finish("unlearn_step", arguments, device, tables, text, disagreement)


if __name__ == "__main__":
    sys.exit(main())
