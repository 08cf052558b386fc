"""Shared prompts, padding and batches are a matter of speed: values are those of one plain row after the other."""

import random

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from lethe.models.forward import Cost, Question, generate, score_answers

VOCABULARY, CONTEXT = 64, 64


def lively(name):
    """A random model whose weights are large enough for its continuations to wander."""
    torch.manual_seed(0)
    plain = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.3,
    }
    match name:
        case "llama":
            model = LlamaForCausalLM(LlamaConfig(**plain))
        case "sliding window":
            model = MistralForCausalLM(MistralConfig(**plain, sliding_window=6))
        case "absolute positions":
            sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": CONTEXT, "initializer_range": 0.3}
            model = GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, bos_token_id=0, eos_token_id=0, **sizes))
    return model.eval()


@pytest.fixture(scope="module", params=["llama", "sliding window", "absolute positions"])
def any_model(request):
    return lively(request.param)


@pytest.fixture(scope="module")
def model():
    return lively("llama")


def tokens(generator, low, high):
    return [generator.randrange(1, VOCABULARY) for _ in range(generator.randint(low, high))]


@pytest.fixture(scope="module")
def questions():
    """Unlike lengths on both sides of the boundary, one to four answers, and a prompt of one token."""
    generator = random.Random(0)
    some = [
        Question(tokens(generator, 2, 14), [tokens(generator, 1, 18) for _ in range(answers)])
        for answers in (1, 4, 2, 1, 3, 2)
    ]
    return [*some[:3], Question([7], [[3, 0], [5]]), *some[3:]]


@pytest.fixture(scope="module")
def prompts():
    generator = random.Random(1)
    return [tokens(generator, 1, 20) for _ in range(9)]


@torch.no_grad()
def plain_logits(model, prompt, answer):
    """[answer, V] from one forward of one unpadded row, without a cache."""
    return model(torch.tensor([prompt + answer]), use_cache=False).logits[0, len(prompt) - 1 : -1].float()


@torch.no_grad()
def plain_greedy(model, prompt, count):
    """transformers' own greedy decoding of one row."""
    ids = torch.tensor([prompt])
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=count,
        eos_token_id=None,
        pad_token_id=0,
    )
    return out[0, len(prompt) :].tolist()


def until(ids, ends):
    """The tokens before the first end token."""
    return next((ids[:i] for i, token in enumerate(ids) if token in ends), ids)


@pytest.fixture
def forwards(model):
    """Shapes of the inputs of every forward pass of the model's body."""
    shapes = []
    handle = model.base_model.register_forward_pre_hook(lambda module, inputs: shapes.append(tuple(inputs[0].shape)))
    yield shapes
    handle.remove()


# --- scoring ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens_per_batch", [4096, 90, 1], ids=["one batch", "several", "a question each"])
def test_scores_are_those_of_plain_rows(any_model, questions, tokens_per_batch):
    scores, _ = score_answers(any_model, questions, (0.5, 2.0), tokens_per_batch)
    assert [len(s) for s in scores] == [len(q.answers) for q in questions]
    for question, row in zip(questions, scores, strict=True):
        for answer, score in zip(question.answers, row, strict=True):
            logits = plain_logits(any_model, question.prompt, answer)
            log_p = logits.double().log_softmax(-1)
            p = log_p.exp()
            mean = (p * log_p).sum(-1)
            std = ((p * log_p**2).sum(-1) - mean**2).clamp(min=1e-6).sqrt()
            close = {"rtol": 0, "atol": 1e-5, "check_dtype": False}
            torch.testing.assert_close(score.logprob, log_p[range(len(answer)), answer], **close)
            torch.testing.assert_close(score.mean_logprob, mean, **close)
            torch.testing.assert_close(score.std_logprob, std, rtol=1e-3, atol=1e-4, check_dtype=False)
            assert score.greedy.tolist() == (logits.argmax(-1) == torch.tensor(answer)).tolist()
            assert set(score.entropy) == {0.5, 2.0}
            for t, entropy in score.entropy.items():
                log_q = (logits.double() / t).log_softmax(-1)
                torch.testing.assert_close(entropy, -(log_q.exp() * log_q).sum(-1), **close)


def test_scores_do_not_depend_on_the_company(model, questions):
    together, _ = score_answers(model, questions)
    alone, _ = score_answers(model, questions[1:2])
    for a, b in zip(together[1], alone[0], strict=True):
        torch.testing.assert_close(a.logprob, b.logprob, rtol=0, atol=1e-5)


@pytest.mark.parametrize("tokens_per_batch", [4096, 90, 1])
def test_every_token_is_counted_once(model, questions, forwards, tokens_per_batch):
    """The last token of a prompt is fed with each answer, the last token of an answer never."""
    _, cost = score_answers(model, questions, tokens_per_batch=tokens_per_batch)
    answers = sum(len(answer) for q in questions for answer in q.answers)
    assert cost.real_tokens == sum(len(q.prompt) - 1 for q in questions) + answers
    assert cost.fed_tokens == sum(rows * width for rows, width in forwards) >= cost.real_tokens
    assert cost.seconds > 0


def test_a_prompt_is_run_once_for_all_its_answers(model, forwards):
    _, cost = score_answers(model, [Question([5] * 30, [[1, 2], [3, 4, 5], [6]])])
    assert forwards == [(1, 29), (3, 3)]
    assert (cost.batches, cost.fed_tokens, cost.real_tokens) == (1, 29 + 9, 29 + 6)


def test_a_lone_prompt_token_needs_no_prompt_pass(model, forwards):
    score_answers(model, [Question([5], [[1, 2]])])
    assert forwards == [(1, 2)]


def test_batches_keep_to_the_budget(model, questions, forwards):
    budget = 90
    _, cost = score_answers(model, questions, tokens_per_batch=budget)
    assert 1 < cost.batches < len(questions)
    # A question that is larger than the budget runs alone; none of these is.
    assert max(rows * width for rows, width in forwards) <= budget


def test_no_questions(model):
    assert score_answers(model, []) == ([], Cost(seconds=pytest.approx(0, abs=1)))


def test_autocast_changes_little(model, questions):
    exact, _ = score_answers(model, questions)
    rounded, _ = score_answers(model, questions, dtype=torch.bfloat16)
    difference = torch.cat([a[0].logprob - b[0].logprob for a, b in zip(exact, rounded, strict=True)]).abs()
    assert 0 < difference.mean() < 0.5
    assert rounded[0][0].logprob.dtype == torch.float32


# --- generation -------------------------------------------------------------------------------------------


def test_generation_is_transformers_greedy_search(any_model, prompts):
    expected = [plain_greedy(any_model, prompt, 20) for prompt in prompts]
    assert max(len(set(ids)) for ids in expected) > 4, "continuations that stand still would prove little"
    together, _ = generate(any_model, prompts, set(), 20)
    alone = [generate(any_model, [prompt], set(), 20)[0][0] for prompt in prompts]
    assert together == expected
    assert alone == expected


@pytest.fixture(scope="module")
def endings(model, prompts):
    """End tokens that some rows meet at once, some later, some never; and the rows cut there."""
    full = [plain_greedy(model, prompt, 20) for prompt in prompts]
    ends = {full[0][0], full[1][5]}
    expected = [until(ids, ends) for ids in full]
    lengths = {len(ids) for ids in expected}
    assert {0, 20} <= lengths
    assert len(lengths) > 3
    return ends, expected


@pytest.mark.parametrize("tokens_per_batch", [4096, 40, 1])
@pytest.mark.parametrize("guess", [False, True])
def test_rows_that_end_early_leave_the_others_alone(model, prompts, endings, tokens_per_batch, guess):
    ends, expected = endings
    lengths = [len(ids) for ids in expected] if guess else None
    found, _ = generate(model, prompts, ends, 20, tokens_per_batch, expected_lengths=lengths)
    assert found == expected


@pytest.mark.parametrize("count", [1, 2, 7])
def test_no_more_than_max_new_tokens(model, prompts, endings, forwards, count):
    ends, expected = endings
    found, _ = generate(model, prompts, ends, count)
    assert found == [ids[:count] for ids in expected]
    assert len(forwards) == count


def test_no_step_after_all_rows_have_ended(model, prompts, endings, forwards):
    ends, expected = endings
    ending = [i for i, ids in enumerate(expected) if len(ids) < 20]
    generate(model, [prompts[i] for i in ending], ends, 20)
    # Each step makes one token; the last one makes the end token of the longest row.
    assert len(forwards) == max(len(expected[i]) for i in ending) + 1


def test_ended_rows_leave_the_batch(model, prompts, endings, forwards):
    ends, expected = endings
    _, cost = generate(model, prompts, ends, 20)
    open_rows = [sum(len(ids) >= step for ids in expected) for step in range(1, len(forwards))]
    rows = [shape[0] for shape in forwards]
    assert rows[0] == len(prompts)
    assert rows[-1] < len(prompts)
    for fed, still_open in zip(rows[1:], open_rows, strict=True):
        assert still_open <= fed <= still_open / 0.75 + 1
    assert cost.fed_tokens == sum(a * b for a, b in forwards)
    assert cost.real_tokens == sum(map(len, prompts)) + sum(open_rows)


def test_no_prompts(model):
    assert generate(model, [], {0}, 5)[0] == []


def test_generation_stops_at_the_models_context(model):
    prompt = [3] * (CONTEXT - 4)
    (found,), _ = generate(model, [prompt], set(), 20)
    assert found == plain_greedy(model, prompt, 4)
    assert generate(model, [[3] * CONTEXT], set(), 20)[0] == [[]]


def test_a_long_neighbour_does_not_shorten_a_row(model):
    short, long = [5, 6, 7], [3] * (CONTEXT - 4)
    found, _ = generate(model, [short, long], set(), 20)
    assert found == [plain_greedy(model, short, 20), plain_greedy(model, long, 4)]
