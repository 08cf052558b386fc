"""What one optimiser step of unlearning costs: Lethe's task against the plain way of the field's framework.

Plain is how locuslab/open-unlearning works, written anew from its description (`plain_losses.py`): logits of all
positions, the model's own mean loss on top, a frozen copy of the starting model in every step that needs one; the
forget graph is kept until the retain pass is done, then the sum is back-propagated once. TNPO, WTNPO, Imp, SCN, SCE and
ETW have no counterpart there; their plain way is built in the same manner.

Same model, same batch, same optimiser, same clipping, strengths of 1. Both ways start from a model some way off the
starting model, where NPO's loss is not trivial; losses and gradient norm of the first step must agree. Every method is
paired with the retain rows' NLL (open-unlearning runs UNDIAL's retain pass too, and multiplies it by 0), RMU with
`embed_diff`; GA alone, the framework's GradAscent, has no retain pass, and so no retain loss to compare. What Lethe
computes once before training (log-probabilities, kept states, a parser's mask) is not timed.

In turn with both ways Lethe's own GradDiff is run, so that a method's own cost can be told from the step's.

    python speed/unlearn_step.py [--vocab 128256] [--methods ETW NPO] [--json FILE]
"""

import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import plain_losses
import torch
from measure_peak import (
    Pass,
    Stopwatch,
    argument_parser,
    compare,
    finish,
    llama_arguments,
    markdown,
    problem_of,
    relative_difference,
    tensor_mib,
)
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from lethe.config import MethodConfig, TrainingConfig
from lethe.models.device import autocast, autocast_dtype, seed_everything
from lethe.models.forward import Question, score_answers
from lethe.models.prompts import Example
from lethe.training.loop import Context, make_optimizer
from lethe.training.reference import Refusals, Starting, compute, layer_of
from lethe.training.unlearn import Unlearning

METHODS = tuple(plain_losses.FORGET)
BASE = "GradDiff"
"""The method that the others' cost within Lethe is related to."""
PARTS = {  # what differs from GradDiff, which is uniform ascent with the NLL
    "GA": {"retain": "none"},
    "WGA": {"weighting": "confidence"},
    "TNPO": {"weighting": "tnpo"},
    "WTNPO": {"weighting": "wtnpo"},
    "Imp": {"weighting": "importance"},
    "SatImp": {"weighting": "satimp"},
    "SCN": {"weighting": "spacy_nouns"},
    "SCE": {"weighting": "spacy_entities"},
    "NPO": {"objective": "npo"},
    # The framework's β of 4.5 would leave a loss of e^−58 of 13 nats a token, and nothing but rounding to compare.
    "SimNPO": {"objective": {"simnpo": {"beta": 0.1}}},
    "IdkDPO": {"objective": "idk_dpo"},
    "UNDIAL": {"objective": "undial"},
}
SEED = 0
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
    "time_to_base": ("time / GradDiff", ".2f"),
    "peak_to_base": ("peak / GradDiff", ".2f"),
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
    temperature: float
    device: torch.device

    @property
    def layer(self) -> int:
        """The decoder layer that RMU steers: 7 of 16 in open-unlearning, at the same depth here."""
        return self.layers // 2 - 1

    def method(self, name: str) -> MethodConfig:
        parts = {"weighting": "uniform", "objective": "ascent", "retain": "nll", **PARTS.get(name, {})}
        if name == "ETW":
            parts["weighting"] = {"entropy": {"temperature": self.temperature}}
        if name == "RMU":
            parts |= {"objective": {"rmu": {"layer": self.layer}}, "retain": {"embed_diff": {"layer": self.layer}}}
        return MethodConfig(**parts)

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

    def refusals(self) -> list[Example]:
        """An answer to each forget row's prompt, a quarter as long: refusals are short."""
        length = max(1, self.labelled // 4)
        pairs = zip(self.examples("forget"), self.examples("refusal"), strict=True)
        return [replace(row, answer=other.answer[:length], spans=row.spans[:length]) for row, other in pairs]

    def parsed(self) -> np.ndarray:
        """[2, rows, labelled] what a parser would call nouns, and named entities: three tokens in ten each, drawn."""
        return np.random.default_rng(SEED).random((2, self.rows, self.labelled)) < 0.3

    def next_tokens_parsed(self) -> Tensor:
        """[2, rows, tokens − 1] the same, at the positions that predict them; 0 in the prompt."""
        marks = torch.zeros((2, self.rows, self.tokens - 1), device=self.device)
        marks[..., -self.labelled :] = torch.from_numpy(self.parsed())
        return marks

    def control(self) -> Tensor:
        """[hidden] RMU's control vector with c = 2, from the draws that Lethe's own makes."""
        direction = torch.rand(self.hidden, generator=torch.Generator().manual_seed(SEED))
        return (2 * direction / direction.norm()).to(self.device)

    def batch(self, examples: list[Example]) -> plain_losses.Batch:
        ids = torch.tensor([e.prompt + e.answer for e in examples], device=self.device)
        labels = torch.tensor([[-100] * len(e.prompt) + e.answer for e in examples], device=self.device)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}

    def table(self, start: PreTrainedModel, examples: list[Example]) -> pd.DataFrame:
        """Token table of rows whose answers are all of one length, with the starting model's log-probabilities."""
        scores, _ = score_answers(start, [Question(e.prompt, [e.answer]) for e in examples], dtype=self.dtype())
        length = len(examples[0].answer)
        return pd.DataFrame(
            {
                "sample": np.repeat([e.sample for e in examples], length),
                "position": np.tile(np.arange(length), len(examples)),
                "token_id": np.concatenate([e.answer for e in examples]),
                "logprob": torch.cat([answers[0].logprob for answers in scores]).numpy(),
            }
        )

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


def lethe(problem: Problem, name: str) -> Pass:
    seed_everything(SEED)  # as the training loop does: its deterministic kernels are part of the cost
    method, start, dtype = problem.method(name), problem.model(), problem.dtype()
    forget, retain, refusals = problem.examples("forget"), problem.examples("retain"), problem.refusals()
    nouns, entities = (marks.ravel() for marks in problem.parsed())
    table = problem.table(start, forget).assign(pos=np.where(nouns, "NOUN", "DET"), entity=entities)
    rows = {"forget": forget, "retain": retain}
    kept = {key: compute(start, rows[key], dtype, layer_of(what)) for key, what in method.kept().items()}
    starting = Starting(**kept)
    if method.objective.refusals:
        starting.refusals = Refusals(refusals, problem.table(start, refusals))
    model = problem.perturbed(start)
    del start
    task = Unlearning(method, forget, retain, table, SEED, problem.hidden, starting)
    context = Context(model, problem.training(), gpus=int(problem.device.type == "cuda"))
    task.begin(context)
    held = [tensor for reference in kept.values() for tensor in (*reference.hidden.values(), reference.head)]
    held = [tensor for tensor in held if tensor is not None]
    return one_step(model, problem, held, lambda: task.backward(np.arange(problem.rows), context))


def plain(problem: Problem, name: str) -> Pass:
    method, start = problem.method(name), problem.model()
    model = problem.perturbed(start)
    copied = start.eval().requires_grad_(False) if name in plain_losses.COPIES else None
    del start
    step = plain_losses.PlainStep(
        model,
        copied,
        problem.batch(problem.examples("forget")),
        problem.batch(problem.examples("retain")),
        problem.batch(problem.refusals()),
        *problem.next_tokens_parsed(),
        problem.temperature,
        problem.layer,
        problem.control(),
    )
    forget, retain = plain_losses.FORGET[name], plain_losses.RETAIN.get(name, plain_losses.nll)
    with autocast(problem.device, problem.dtype()):
        constant = plain_losses.CONSTANTS[name](step) if name in plain_losses.CONSTANTS else 0.0

    def backward():
        with autocast(problem.device, problem.dtype()):
            loss_forget = forget(step)
            loss, losses = method.strength * loss_forget, {"loss_forget": loss_forget - constant}
            if retain is not None:
                losses["loss_retain"] = retain(step)
                loss = loss + method.retain_strength * losses["loss_retain"]
        loss.backward()
        return losses

    return one_step(model, problem, [] if copied is None else list(copied.parameters()), backward)


def row(problem: Problem, name: str, arguments, isolated: bool) -> dict[str, object]:
    """A method's row; Lethe's GradDiff takes its turn with both ways."""
    ways = {"plain": partial(plain, problem, name), "lethe": partial(lethe, problem, name)}
    if name != BASE:
        ways["base"] = partial(lethe, problem, BASE)
    outcome = compare(ways, problem.device, arguments.threads, arguments.repetitions, isolated=isolated)
    theirs, ours, base = outcome["plain"], outcome["lethe"], outcome.get("base")
    compared = [key for key in COMPARED if key != "loss_retain" or problem.method(name).retain.rows]
    return {
        "method": name,
        "plain_s": theirs.seconds(),
        "lethe_s": ours.seconds(),
        "speed_up": theirs.seconds() / ours.seconds(),
        "plain_peak_mib": theirs.peak_mib,
        "lethe_peak_mib": ours.peak_mib,
        "peak_ratio": _ratio(ours.peak_mib, theirs.peak_mib),
        "plain_held_mib": float(theirs.values["held_mib"]),
        "lethe_held_mib": float(ours.values["held_mib"]),
        "time_to_base": None if base is None else ours.seconds() / base.seconds(),
        "peak_to_base": None if base is None else _ratio(ours.peak_mib, base.peak_mib),
        **dict.fromkeys(COMPARED),
        **{key: float(ours.values[key]) for key in compared},
        "difference": max(relative_difference(ours.values[key], theirs.values[key]) for key in compared),
    }


def _ratio(a: float, b: float) -> float | None:
    """a / b of peaks; None where nothing was measured, as when ways share a process."""
    return a / b if b > 0 else None


def main(argv: Sequence[str] | None = None, isolated: bool = True) -> int:
    parser = argument_parser(__doc__, repetitions=7)
    add = parser.add_argument
    llama_arguments(parser)
    add("--heads", type=int, default=4, help="its attention heads, half as many for keys (%(default)s)")
    add("--rows", type=int, default=8, help="forget rows, and as many retain rows (%(default)s)")
    add("--tokens", type=int, default=128, help="tokens of a row (%(default)s)")
    add("--labelled", type=int, default=88, help="of them bear loss (%(default)s)")
    add("--temperature", type=float, default=1.0, help="of ETW's entropy (%(default)s)")
    names = ", ".join(METHODS)
    add("--methods", nargs="+", choices=METHODS, default=METHODS, metavar="METHOD", help=f"some of {names} (all)")
    arguments = parser.parse_args(argv)
    if not 0 < arguments.labelled < arguments.tokens:
        parser.error("--labelled must be at least 1 and less than --tokens: a row starts with a prompt")
    if arguments.layers < 2:
        parser.error("--layers must be at least 2: RMU steers the output of a layer before the last one")
    problem = problem_of(Problem, arguments)
    rows = [row(problem, name, arguments, isolated) for name in arguments.methods]
    tolerance = TOLERANCE[arguments.precision]
    wrong = [r["method"] for r in rows if not r["difference"] <= tolerance]
    worst = max(r["difference"] for r in rows)
    text = [
        f"Llama, hidden {problem.hidden}, {problem.layers} layers, {problem.vocab} words, {problem.precision}; "
        f"forget and retain {problem.rows} × {problem.tokens} tokens each, {problem.labelled} labelled. Held: "
        "weights, AdamW's state, frozen copies, kept states; peak: what a step takes on top of that, gradients "
        f"included. Time and peak / {BASE}: Lethe's step over its own {BASE} step, taken in turn.",
        markdown(rows, COLUMNS),
        f"Losses and gradient norm of the first step differ by at most {worst:.0e} (relative; accepted are "
        f"{tolerance:.0e}).",
    ]
    for etw in (r for r in rows if r["method"] == "ETW"):
        peak = "–" if etw["peak_to_base"] is None else f"{etw['peak_to_base']:.2f}"
        text.append(
            f"ETW (T = {problem.temperature:g}) / {BASE} within Lethe: time {etw['time_to_base']:.2f}, peak {peak}. "
            "Expected: ≤ 1.05."
        )
    text.append(
        "Expected at 32,000 words: ≥ 2 times faster on NPO, ≥ 1.4 on GradDiff, WGA and SatImp, peak ≤ 0.65; at 128,256 "
        "words: ≥ 3 on NPO, ≥ 1.9 on GradDiff, peak ≤ 0.57."
    )
    disagreement = f"losses or gradient norm of {', '.join(wrong)}" if wrong else None
    return finish("unlearn_step", arguments, problem.device, {"rows": rows}, text, disagreement)


if __name__ == "__main__":
    sys.exit(main())
