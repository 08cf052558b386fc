"""What an evaluation costs, phase by phase, and how far it is from the least that could be done.

Lethe: `lethe.evaluation.measure.measure` and `lethe.metrics`: each prompt once for all its answers, rows of a length
together, the vocabulary at answer positions only. Plain is how locuslab/open-unlearning scores answers, written anew
from its description: each answer with its prompt from the start, in unsorted batches of 32, padded on the right, logits
of
all positions, cross-entropy on the transposed layout. Two things are in the plain way's favour: it runs each
answer once, where the framework runs some up to nine times, and it only takes the mean loss, while Lethe's pass
also gives arg-max hits and the moments that Min-K++ needs.

Without `--model` a random Llama is used, on the invented benchmark. It never ends an answer, so its generation is
the longest possible.

    python speed/evaluation.py [--model FOLDER [--data FOLDER]] [--limit 40] [--json FILE]
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

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
)
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from lethe.benchmarks.contract import Data, Probe
from lethe.benchmarks.fictional import Fictional, FictionalConfig
from lethe.benchmarks.tofu import Tofu
from lethe.benchmarks.tofu_files import TofuConfig
from lethe.config import EvaluateConfig, MeasureConfig, PromptConfig, ScratchConfig
from lethe.evaluation.measure import measure
from lethe.evaluation.sets import asked
from lethe.metrics.summary import summarise
from lethe.models import sources as models
from lethe.models.device import autocast, autocast_dtype
from lethe.models.prompts import Encoder

SPLIT = "forget10"
ANSWER = ["set", "sample", "kind", "index"]
TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2}
"""Largest accepted relative difference of an answer's mean loss."""

PHASES = {
    "phase": ("phase", ""),
    "seconds": ("s", ".3g"),
    "tokens": ("tokens", "d"),
    "per_second": ("tokens/s", ".0f"),
    "fed": ("fed to the model", "d"),
    "least": ("least possible", "d"),
    "fed_to_least": ("fed/least", ".2f"),
    "anew": ("prompts anew", "d"),
    "fed_to_anew": ("fed/anew", ".2f"),
}
WAYS = {
    "way": ("teacher-forced", ""),
    "seconds": ("s", ".3g"),
    "answers_per_second": ("answers/s", ".1f"),
    "fed": ("fed to the model", "d"),
    "peak_mib": ("peak MiB", ".0f"),
}


@dataclass(frozen=True)
class Problem:
    """What is evaluated: model and data (None: made up here), sizes, precision, and where it runs."""

    model: str | None
    data: str | None
    limit: int | None
    authors: int
    hidden: int
    layers: int
    vocab: int
    max_new_tokens: int
    tokens_per_batch: int
    precision: str
    device: torch.device

    def load_data(self) -> Data:
        if self.data is not None:
            return Tofu().load(TofuConfig(name="tofu", path=self.data), seed=0)
        return Fictional().load(FictionalConfig(name="fictional", authors=self.authors), seed=0)

    def probes(self, data: Data) -> list[Probe]:
        """forget10, retain and the two utility sets."""
        limits = {} if self.limit is None else dict.fromkeys(Tofu.sets, self.limit)
        return [probe for probe in asked(data, [SPLIT], [SPLIT], limits) if probe.generate]

    def load(self, data: Data) -> tuple[PreTrainedModel, Encoder]:
        if self.model is not None:
            model, tokenizer = models.load(self.model)
        else:
            config = ScratchConfig(source="scratch", hidden_size=self.hidden, layers=self.layers)
            model, tokenizer = models.scratch(config, list(data.world), PromptConfig(), seed=0)
            if self.vocab > len(tokenizer):  # a head as wide as a real model's
                model.resize_token_embeddings(self.vocab, mean_resizing=False)
        return model.eval().to(self.device), Encoder(tokenizer, PromptConfig(), models.context_length(model.config))

    def sequences(self, data: Data, encoder: Encoder) -> list[list[tuple[list[int], list[int]]]]:
        """For each question (prompt, answer) token ids of all its answers, in the order of Lethe's tables."""
        return [
            [(example.prompt, example.answer) for example in encoder.continuations(probe)]
            for probe in self.probes(data)
        ]


def lethe(problem: Problem) -> Pass:
    data = problem.load_data()
    model, encoder = problem.load(data)
    probes = problem.probes(data)
    config = MeasureConfig(precision=problem.precision, max_new_tokens=problem.max_new_tokens)
    dtype = autocast_dtype(config.precision, problem.device)
    questions = problem.sequences(data, encoder)
    # The last token of an answer predicts nothing that is asked for, so it need not be fed.
    least = sum(len(answers[0][0]) + sum(len(answer) - 1 for _, answer in answers) for answers in questions)
    anew = sum(len(prompt) + len(answer) for answers in questions for prompt, answer in answers)

    def run():
        clock = Stopwatch(problem.device)
        with clock("measure"):
            tokens, generations, cost = measure(model, encoder, probes, config, problem.tokens_per_batch, dtype)
        with clock("metrics"):
            table = Tofu().samples(tokens, generations, probes, EvaluateConfig())
            summarise(Tofu.metrics, {"full": table, "retain": table})  # in all roles: only its cost is wanted
        scored, generated = cost["teacher_forced"], cost["generation"]
        phases = {
            "teacher_forced": scored.seconds,
            "generation": generated.seconds,
            "metrics": clock.seconds["metrics"],
            "tables": clock.seconds["measure"] - scored.seconds - generated.seconds,
        }
        loss = -tokens.groupby(ANSWER, sort=False)["logprob"].mean().to_numpy()
        counts = {
            "scored": len(tokens),
            "least": least,
            "anew": anew,
            "fed": scored.fed_tokens,
            "generation_fed": generated.fed_tokens,
            "generation_least": generated.real_tokens,  # prompts and open rows' tokens, each once
        }
        return phases, {"loss": loss, **counts}

    return run


def plain(problem: Problem, batch_size: int = 32) -> Pass:
    data = problem.load_data()
    model, encoder = problem.load(data)
    dtype = autocast_dtype(problem.precision, problem.device)
    sequences = [pair for answers in problem.sequences(data, encoder) for pair in answers]

    @torch.inference_mode()
    def run():
        clock = Stopwatch(problem.device)
        losses, fed = [], 0
        with clock("teacher_forced"):
            for start in range(0, len(sequences), batch_size):
                batch = sequences[start : start + batch_size]
                width = max(len(prompt) + len(answer) for prompt, answer in batch)
                ids = torch.zeros((len(batch), width), dtype=torch.long)
                mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
                for i, (prompt, answer) in enumerate(batch):
                    end = len(prompt) + len(answer)
                    ids[i, :end], mask[i, :end] = torch.tensor(prompt + answer), 1
                    labels[i, len(prompt) : end] = torch.tensor(answer)
                ids, mask, labels = (x.to(problem.device) for x in (ids, mask, labels))
                with autocast(problem.device, dtype):
                    logits = model(input_ids=ids, attention_mask=mask).logits  # [B, S, V]
                shifted = logits[:, :-1].contiguous().transpose(1, 2).float()
                loss = cross_entropy(shifted, labels[:, 1:], reduction="none").sum(1)
                losses.append((loss / (labels != -100).sum(1)).cpu())
                fed += ids.numel()
        return clock.seconds, {"loss": torch.cat(losses), "fed": fed}

    return run


def phase_rows(ours) -> list[dict[str, object]]:
    """Rows of the first table; `tokens` is what `per_second` counts: distinct tokens, or scored ones."""
    count = {key: int(value) for key, value in ours.values.items() if key != "loss"}
    fed, least = count["fed"], count["least"]
    generated = count["generation_fed"], count["generation_least"]

    def row(phase, key, tokens, fed=None, least=None, anew=None):
        seconds = ours.seconds(key)
        return {
            "phase": phase,
            "seconds": seconds,
            "tokens": tokens,
            "per_second": None if tokens is None else tokens / seconds,
            "fed": fed,
            "least": least,
            "fed_to_least": None if fed is None else fed / least,
            "anew": anew,
            "fed_to_anew": None if anew is None else fed / anew,
        }

    return [
        row("teacher-forced", "teacher_forced", least, fed, least, count["anew"]),
        row("generation", "generation", generated[1], *generated),
        row("metrics", "metrics", count["scored"]),
        row("tokenising, tables", "tables", None),
    ]


def way_rows(outcome) -> list[dict[str, object]]:
    return [
        {
            "way": name,
            "seconds": result.seconds("teacher_forced"),
            "answers_per_second": len(result.values["loss"]) / result.seconds("teacher_forced"),
            "fed": int(result.values["fed"]),
            "peak_mib": result.peak_mib,
        }
        for name, result in outcome.items()
    ]


def main(argv: Sequence[str] | None = None, isolated: bool = True) -> int:
    parser = argument_parser(__doc__, repetitions=3)
    add = parser.add_argument
    add("--model", help="folder written by save_pretrained (a random Llama)")
    add("--data", help="folder with TOFU's JSON files; needs --model (the invented benchmark)")
    add("--limit", type=int, help="rows of each set (all)")
    add("--authors", type=int, default=40, help="of the invented benchmark (%(default)s)")
    add("--max-new-tokens", type=int, default=200, help="longest generation (%(default)s)")
    add("--tokens-per-batch", type=int, default=4096, help="Lethe's batches (%(default)s)")
    llama_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.data is not None and arguments.model is None:
        parser.error("--data needs --model: TOFU has no text to learn a random model's tokenizer from")
    for name in ("model", "data"):
        folder = getattr(arguments, name)
        if folder is not None and not Path(folder).is_dir():
            parser.error(f"--{name}: {folder} is not a folder")
    problem = problem_of(Problem, arguments)
    device = problem.device
    ways = {"plain": partial(plain, problem), "Lethe": partial(lethe, problem)}
    # A whole evaluation is long: the memory pass is warm-up enough.
    outcome = compare(ways, device, arguments.threads, arguments.repetitions, warm_up=0, isolated=isolated)
    phases, rows = phase_rows(outcome["Lethe"]), way_rows(outcome)
    ratio = rows[0]["seconds"] / rows[1]["seconds"]
    difference = relative_difference(outcome["Lethe"].values["loss"], outcome["plain"].values["loss"])
    tolerance = TOLERANCE[problem.precision]
    text = [
        f"{len(outcome['plain'].values['loss'])} answers; {problem.model or 'random Llama'}, "
        f"{problem.data or 'invented benchmark'}, {problem.precision}.",
        markdown(phases, PHASES),
        "tokens: what has to be fed at least (metrics: scored tokens). least possible: each prompt once, each "
        "answer token but the last once, each generated token once. prompts anew: each answer with its prompt, "
        "without padding.",
        markdown(rows, WAYS),
        f"Teacher-forced part: {ratio:.2f} times faster. Expected: ≥ 3. Lethe's peak is that of all phases. Mean "
        f"losses differ by at most {difference:.0e} (relative; accepted are {tolerance:.0e}).",
    ]
    tables = {"phases": phases, "rows": rows, "speed_up": ratio, "difference": difference}
    disagreement = None if difference <= tolerance else f"mean losses by {difference:.0e}"
    return finish("evaluation", arguments, device, tables, text, disagreement)


if __name__ == "__main__":
    sys.exit(main())
