"""Forward passes for scoring and evaluation: each token once, shared prompts once, rows of a length together.

TOFU asks for up to seven answers to one question. The prompt is run once, its key/value cache is handed to all its
answers, and the vocabulary is touched at answer positions only. Generation is greedy, batched, left-padded; rows that
have ended leave the batch, so no step is computed for a batch whose every row is done.
"""

import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import DynamicCache, PreTrainedModel

from lethe.methods.forms import Form
from lethe.methods.kernel import TokenScores, token_scores
from lethe.models.device import autocast
from lethe.models.sources import context_length
from lethe.models.states import head_weight


@dataclass
class Question:
    """A prompt with the answers to be scored after it; `answers` are token ids, EOS included."""

    prompt: list[int]
    answers: list[list[int]]


@dataclass
class Cost:
    """What a phase took: wall-clock seconds, tokens fed to the model, and those that were not padding."""

    seconds: float = 0.0
    fed_tokens: int = 0
    real_tokens: int = 0
    batches: int = 0

    def __enter__(self) -> "Cost":
        self.seconds -= time.perf_counter()
        return self

    def __exit__(self, *_) -> None:
        self.seconds += time.perf_counter()

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


@torch.inference_mode()
def answer_hidden(
    model: PreTrainedModel,
    questions: list[Question],
    tokens_per_batch: int,
    dtype: torch.dtype | None,
    cost: Cost,
) -> Iterator[tuple[list[tuple[int, int]], list[int], Tensor, Tensor]]:
    """Teacher-forced hidden states of all answers, a batch at a time.

    Yields:
        keys: (question number, answer number) of each row of the batch; lengths: tokens of each row;
        hidden [N, H]: states that predict the rows' tokens, rows one after the other; targets [N].
    """
    device = next(model.parameters()).device
    for batch in _question_batches(questions, tokens_per_batch):
        # The cache holds all of the prompt but its last token, which each answer row feeds again: that way the first
        # answer token is predicted inside the answer pass like all the others.
        prompts = [questions[q].prompt[:-1] for q in batch]
        keys = [(q, a) for q in batch for a in range(len(questions[q].answers))]
        rows = [[questions[q].prompt[-1], *questions[q].answers[a][:-1]] for q, a in keys]
        owner = torch.tensor([i for i, q in enumerate(batch) for _ in questions[q].answers], device=device)
        lengths = [len(row) for row in rows]
        prefix, prefix_mask = _pad(prompts, device, left=True)
        ids, mask = _pad(rows, device, left=False)
        with autocast(device, dtype):
            cache = DynamicCache(config=model.config)
            if prefix.shape[1]:
                positions = (prefix_mask.cumsum(1) - 1).clamp(min=0)
                model.base_model(
                    prefix,
                    attention_mask=prefix_mask,
                    position_ids=positions,
                    past_key_values=cache,
                    use_cache=True,
                )
                cache.batch_select_indices(owner)
            full_mask = torch.cat([prefix_mask[owner], mask], dim=1)
            positions = prefix_mask.sum(1)[owner, None] + torch.arange(ids.shape[1], device=device)
            states = model.base_model(
                ids, attention_mask=full_mask, position_ids=positions, past_key_values=cache, use_cache=True
            ).last_hidden_state
            targets = torch.tensor([token for q, a in keys for token in questions[q].answers[a]], device=device)
            cost.fed_tokens += prefix.numel() + ids.numel()
            cost.real_tokens += sum(map(len, prompts)) + sum(lengths)
            cost.batches += 1
            yield keys, lengths, states[mask.bool()], targets


def score_answers(
    model: PreTrainedModel,
    questions: list[Question],
    temperatures: tuple[float, ...] = (),
    tokens_per_batch: int = 4096,
    dtype: torch.dtype | None = None,
    forms: tuple[Form, ...] = (),
) -> tuple[list[list[TokenScores]], Cost]:
    """Scores of every token of every answer under teacher forcing.

    Returns:
        scores[q][a]: `TokenScores` of answer a to question q, on the CPU, tokens in order; and the cost.
    """
    scores: list[list[TokenScores | None]] = [[None] * len(q.answers) for q in questions]
    head = head_weight(model)
    cost = Cost()
    with cost, tqdm(total=sum(len(q.answers) for q in questions), unit="answer", disable=None) as bar:
        for keys, lengths, hidden, targets in answer_hidden(model, questions, tokens_per_batch, dtype, cost):
            with autocast(hidden.device, dtype):
                batch = token_scores(hidden, head, targets, temperatures, forms=forms)
            parts = [values.cpu().split(lengths) for values in batch[:4]]
            entropies = {t: values.cpu().split(lengths) for t, values in batch.entropy.items()}
            spreads = {form: values.cpu().split(lengths) for form, values in batch.forms.items()}
            for i, (q, a) in enumerate(keys):
                scores[q][a] = TokenScores(
                    *(part[i] for part in parts),
                    {t: values[i] for t, values in entropies.items()},
                    {form: values[i] for form, values in spreads.items()},
                )
            bar.update(len(keys))
    return scores, cost


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    prompts: list[list[int]],
    end_tokens: set[int],
    max_new_tokens: int,
    tokens_per_batch: int = 4096,
    dtype: torch.dtype | None = None,
    expected_lengths: list[int] | None = None,
) -> tuple[list[list[int]], Cost]:
    """Greedy continuations, without the end token.

    Args:
        prompts: token ids of each prompt.
        end_tokens: ids that end a row.
        max_new_tokens: longest continuation; also limited by the model's context.
        tokens_per_batch: prompt tokens per batch, padding included.
        expected_lengths: a guess at each continuation's length (the reference answer's); rows with similar guesses
            share a batch, so that few rows wait for the longest.

    Returns:
        Continuations in the order of the prompts; and the cost.
    """
    device = next(model.parameters()).device
    head = head_weight(model).float()
    expected = expected_lengths or [0] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: (expected[i], len(prompts[i])))
    outputs: list[list[int]] = [[] for _ in prompts]
    ends = torch.tensor(sorted(end_tokens), device=device)
    cost = Cost()
    with cost, tqdm(total=len(prompts), unit="row", disable=None) as bar:
        for batch in _width_batches(order, [len(p) for p in prompts], tokens_per_batch):
            ids, mask = _pad([prompts[i] for i in batch], device, left=True)
            context = context_length(model.config)
            cache = DynamicCache(config=model.config)
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            rows = torch.tensor(batch)  # prompt number of each row still in the batch
            open_rows = torch.ones(len(batch), dtype=torch.bool, device=device)
            cost.real_tokens += int(mask.sum())
            for step in range(max_new_tokens):
                with autocast(device, dtype):
                    states = model.base_model(
                        ids,
                        attention_mask=mask,
                        position_ids=positions,
                        past_key_values=cache,
                        use_cache=True,
                    ).last_hidden_state[:, -1]
                token = (states.float() @ head.T).argmax(-1)  # fp32: bf16 logits are often tied
                cost.fed_tokens += ids.numel()
                # A row has room for one more token as long as the one just predicted has a position.
                open_rows &= ~torch.isin(token, ends) & (positions[:, -1] < context - 1)
                for row, value, is_open in zip(rows.tolist(), token.tolist(), open_rows.tolist(), strict=True):
                    if is_open:
                        outputs[row].append(value)
                remaining = int(open_rows.sum())
                if remaining == 0 or step == max_new_tokens - 1:
                    break
                cost.real_tokens += remaining
                if remaining <= 0.75 * len(rows):  # rare enough that copying the cache pays
                    keep = open_rows.nonzero().squeeze(1)
                    cache.batch_select_indices(keep)
                    token, mask, positions = token[keep], mask[keep], positions[keep]
                    rows, open_rows = rows[keep.cpu()], open_rows[keep]
                ids = token[:, None]
                mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
                positions = positions[:, -1:] + 1
            cost.batches += 1
            bar.update(len(batch))
    return outputs, cost


def _pad(rows: list[list[int]], device: torch.device, left: bool) -> tuple[Tensor, Tensor]:
    """[R, width] ids and mask; the mask comes from lengths, never from ids."""
    width = max(map(len, rows))
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[i, place] = torch.tensor(row, dtype=torch.long)
        mask[i, place] = 1
    return ids.to(device), mask.to(device)


def _question_batches(questions: list[Question], budget: int) -> Iterator[list[int]]:
    """Question numbers in batches of similar length whose padded tokens stay within the budget (one at least)."""

    def width(q: int) -> tuple[int, int]:
        return max(map(len, questions[q].answers)), len(questions[q].prompt)

    batch: list[int] = []
    for q in sorted(range(len(questions)), key=width):
        trial = [*batch, q]
        answers = sum(len(questions[i].answers) for i in trial)
        padded = answers * max(width(i)[0] for i in trial) + len(trial) * max(width(i)[1] for i in trial)
        if batch and padded > budget:
            yield batch
            trial = [q]
        batch = trial
    if batch:
        yield batch


def _width_batches(order: list[int], lengths: list[int], budget: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) + 1) * max(lengths[j] for j in [*batch, i]) > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
