"""Measuring a model: everything that needs it to run, once; metrics are computed later from what is stored here.

Two tables come out of it:

    tokens       set, sample (id of the probe), kind, index (of `Probe.numbered`), position, token_id, logprob, greedy,
                 mean_logprob, std_logprob (nats; see `lethe.methods.kernel.TokenScores`)
    generations  set, sample, generation (greedy, cut at the end token and before the probe's `stop`)
"""

from itertools import groupby

import numpy as np
import pandas as pd
from transformers import PreTrainedModel

from lethe.benchmarks.contract import Probe
from lethe.config import MeasureConfig
from lethe.metrics.columns import TOKEN_COLUMNS
from lethe.models.forward import Cost, Question, generate, score_answers
from lethe.models.prompts import Encoder


def measure(
    model: PreTrainedModel, encoder: Encoder, probes: list[Probe], config: MeasureConfig, tokens_per_batch: int, dtype
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Cost]]:
    """Ask a model; returns the tables `tokens` and `generations`, and the cost per phase."""
    tokens, teacher_forced = measure_tokens(model, encoder, probes, tokens_per_batch, dtype)
    generations, generation = measure_generations(model, encoder, probes, config, tokens_per_batch, dtype)
    return tokens, generations, {"teacher_forced": teacher_forced, "generation": generation}


def measure_tokens(
    model: PreTrainedModel, encoder: Encoder, probes: list[Probe], tokens_per_batch: int, dtype
) -> tuple[pd.DataFrame, Cost]:
    """The table `tokens`, from one teacher-forced pass, and what it took."""
    questions, scored = [], []
    for probe in probes:
        examples = encoder.continuations(probe)
        # One prompt, unless it is empty and the tokenizer has no start token; see `Encoder`.
        for prompt, own in groupby(examples, key=lambda example: example.prompt):
            questions.append(Question(prompt, [example.answer for example in own]))
        scored += [(probe, kind, index) for kind, index, _ in probe.numbered()]
    scores, cost = score_answers(model, questions, tokens_per_batch=tokens_per_batch, dtype=dtype)
    answers = [ids for question in questions for ids in question.answers]
    values = [score for own in scores for score in own]
    frames = [
        {
            "set": [probe.set] * len(ids),
            "sample": [probe.id] * len(ids),
            "kind": [kind] * len(ids),
            "index": [index] * len(ids),
            "position": range(len(ids)),
            "token_id": ids,
            "logprob": score.logprob.numpy(),
            "greedy": score.greedy.numpy(),
            "mean_logprob": score.mean_logprob.numpy(),
            "std_logprob": score.std_logprob.numpy(),
        }
        for (probe, kind, index), ids, score in zip(scored, answers, values, strict=True)
    ]
    tokens = pd.DataFrame({key: np.concatenate([np.asarray(f[key]) for f in frames] or [[]]) for key in TOKEN_COLUMNS})
    for column in ("set", "sample", "kind"):
        tokens[column] = tokens[column].astype(str)
    return tokens, cost


def measure_generations(
    model: PreTrainedModel, encoder: Encoder, probes: list[Probe], config: MeasureConfig, tokens_per_batch: int, dtype
) -> tuple[pd.DataFrame, Cost]:
    """The table `generations` of the probes with `generate`, and what it took."""
    said: dict[tuple[str, str], str] = {}
    total = Cost()
    asked = [probe for probe in probes if probe.generate]
    for longest in sorted({min(probe.generate, config.max_new_tokens) for probe in asked}):
        batch = [probe for probe in asked if min(probe.generate, config.max_new_tokens) == longest]
        continuations, cost = generate(
            model,
            [encoder.prompt(probe.prompt, probe.style) for probe in batch],
            end_tokens(model, encoder),
            longest,
            tokens_per_batch,
            dtype,
            expected_lengths=[_expected(probe, encoder) for probe in batch],
        )
        total += cost
        for probe, ids in zip(batch, continuations, strict=True):
            text = encoder.tokenizer.decode(ids, skip_special_tokens=True)
            said[probe.set, probe.id] = text if probe.stop is None else text.partition(probe.stop)[0]
    if not asked:
        return no_generations(), total
    generations = pd.DataFrame(
        {
            "set": [probe.set for probe in asked],
            "sample": [probe.id for probe in asked],
            "generation": [said[probe.set, probe.id] for probe in asked],
        }
    )
    return generations, total


def _expected(probe: Probe, encoder: Encoder) -> int:
    """A guess at the length of what will be said, in tokens: that of what should be said."""
    return len(encoder.answer(probe.target, probe.style)[0]) if isinstance(probe.target, str) else 0


def no_generations() -> pd.DataFrame:
    """An empty table `generations`, for measurements that leave them out."""
    return pd.DataFrame({"set": [], "sample": [], "generation": []}, dtype=str)


def end_tokens(model: PreTrainedModel, encoder: Encoder) -> set[int]:
    """Ids that end a generation: the tokenizer's EOS and those that the model's generation config names."""
    named = model.generation_config.eos_token_id
    named = [] if named is None else [named] if isinstance(named, int) else list(named)
    return {encoder.tokenizer.eos_token_id, *named}
