"""Measuring a model: everything that needs it to run, once; metrics are computed later from what is stored here.

Two tables come out of it:

    tokens       set, sample, kind (answer, paraphrase, perturbed), index, position, token_id, logprob, greedy,
                 mean_logprob, std_logprob (nats; see `lethe.methods.kernel.TokenScores`)
    generations  set, sample, generation (greedy, cut at the end token)
"""

import numpy as np
import pandas as pd
from transformers import PreTrainedModel

from lethe.benchmarks.records import Record
from lethe.config import MeasureConfig
from lethe.metrics.columns import TOKEN_COLUMNS
from lethe.models.forward import Cost, Question, generate, score_answers
from lethe.models.prompts import Encoder

GENERATED_SETS = ("forget", "retain", "real_authors", "world_facts")


def answers_of(record: Record, set: str) -> list[tuple[str, int, str]]:
    """(kind, index, text) of the answers that are scored after a record's question."""
    answers = [("answer", 0, record.answer)]
    if set != "holdout":
        if record.paraphrased_answer is not None:
            answers.append(("paraphrase", 0, record.paraphrased_answer))
        answers += [("perturbed", j, text) for j, text in enumerate(record.perturbed_answers)]
    return answers


def measure(
    model: PreTrainedModel,
    encoder: Encoder,
    sets: dict[str, list[Record]],
    config: MeasureConfig,
    tokens_per_batch: int,
    dtype,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Cost]]:
    """Run a model over the evaluation sets; returns the tables `tokens` and `generations`, and the cost per phase."""
    tokens, teacher_forced = measure_tokens(model, encoder, sets, tokens_per_batch, dtype)
    generations, generation = measure_generations(model, encoder, sets, config, tokens_per_batch, dtype)
    return tokens, generations, {"teacher_forced": teacher_forced, "generation": generation}


def measure_tokens(
    model: PreTrainedModel, encoder: Encoder, sets: dict[str, list[Record]], tokens_per_batch: int, dtype
) -> tuple[pd.DataFrame, Cost]:
    """The table `tokens`, from one teacher-forced pass, and what it took."""
    rows = [(name, record) for name, records in sets.items() for record in records]
    kinds = [answers_of(record, name) for name, record in rows]
    examples = [
        encoder.answers_to(record.id, record.question, [text for _, _, text in answers])
        for (_, record), answers in zip(rows, kinds, strict=True)
    ]
    questions = [Question(own[0].prompt, [example.answer for example in own]) for own in examples]
    scores, cost = score_answers(model, questions, tokens_per_batch=tokens_per_batch, dtype=dtype)
    frames = []
    for (name, record), answers, question, values in zip(rows, kinds, questions, scores, strict=True):
        for (kind, index, _), ids, score in zip(answers, question.answers, values, strict=True):
            frames.append(
                {
                    "set": [name] * len(ids),
                    "sample": [record.id] * len(ids),
                    "kind": [kind] * len(ids),
                    "index": [index] * len(ids),
                    "position": range(len(ids)),
                    "token_id": ids,
                    "logprob": score.logprob.numpy(),
                    "greedy": score.greedy.numpy(),
                    "mean_logprob": score.mean_logprob.numpy(),
                    "std_logprob": score.std_logprob.numpy(),
                }
            )
    tokens = pd.DataFrame({key: np.concatenate([np.asarray(f[key]) for f in frames] or [[]]) for key in TOKEN_COLUMNS})
    for column in ("set", "sample", "kind"):
        tokens[column] = tokens[column].astype(str)
    return tokens, cost


def measure_generations(
    model: PreTrainedModel,
    encoder: Encoder,
    sets: dict[str, list[Record]],
    config: MeasureConfig,
    tokens_per_batch: int,
    dtype,
) -> tuple[pd.DataFrame, Cost]:
    """The table `generations` of the sets whose answers are generated, and what it took."""
    rows = [(name, record) for name, records in sets.items() if name in GENERATED_SETS for record in records]
    continuations, cost = generate(
        model,
        [encoder.prompt(record.question) for _, record in rows],
        end_tokens(model, encoder),
        config.max_new_tokens,
        tokens_per_batch,
        dtype,
        expected_lengths=[len(encoder.answer(record.answer)[0]) for _, record in rows],
    )
    generations = pd.DataFrame(
        {
            "set": [name for name, _ in rows],
            "sample": [record.id for _, record in rows],
            "generation": [encoder.tokenizer.decode(ids, skip_special_tokens=True) for ids in continuations],
        }
    )
    return generations, cost


def no_generations() -> pd.DataFrame:
    """An empty table `generations`, for measurements that leave them out."""
    return pd.DataFrame({"set": [], "sample": [], "generation": []}, dtype=str)


def end_tokens(model: PreTrainedModel, encoder: Encoder) -> set[int]:
    """Ids that end a generation: the tokenizer's EOS and those that the model's generation config names."""
    named = model.generation_config.eos_token_id
    named = [] if named is None else [named] if isinstance(named, int) else list(named)
    return {encoder.tokenizer.eos_token_id, *named}
