"""The contract that every benchmark keeps, and that records come back from disk as they were."""

from dataclasses import replace

import pytest

from lethe.benchmarks.records import (
    Record,
    fine_tuning_rows,
    read_records,
    retain_split,
    select,
    validate,
    write_records,
)
from lethe.errors import InputError
from lethe.io import read_provenance

PLAIN = Record("full-0000", "full", "author", "Who?", "Nobody.")
FULL = Record(
    "full-0001",
    "full",
    "Zoë O'Neil 漢",
    "Who wrote “It”?",
    " Zoë\u0301 did. ",
    paraphrased_question="By whom?",
    paraphrased_answer="By Zoë.",
    perturbed_answers=("By Max.", "", "By Max."),
    spans=((1, 5), (6, 9)),
    splits=("forget10", "retain95"),
)
NOTHING_INFORMATIVE = replace(PLAIN, id="full-0002", spans=())


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "records",
    [
        [PLAIN],
        [FULL],
        [NOTHING_INFORMATIVE],
        [PLAIN, FULL, NOTHING_INFORMATIVE],
        [NOTHING_INFORMATIVE, replace(FULL, paraphrased_question=None), PLAIN],
        [],
    ],
    ids=["nothing optional", "everything", "known to hold nothing", "mixed", "half a paraphrase", "none"],
)
def test_records_come_back_value_for_value(tmp_path, records):
    write_records(tmp_path / "r.parquet", records)
    found = read_records(tmp_path / "r.parquet")
    assert found == records
    for record in found:
        assert type(record.splits) is type(record.perturbed_answers) is tuple
        assert record.spans is None or all(type(edge) is int for span in record.spans for edge in span)
        assert isinstance(hash(record), int)


def test_generated_records_come_back(tmp_path, records):
    write_records(tmp_path / "r.parquet", records, {"config_sha256": "ab"})
    assert read_records(tmp_path / "r.parquet") == records
    assert read_provenance(tmp_path / "r.parquet") == {"config_sha256": "ab"}


# --- validation -------------------------------------------------------------------------------------------


def test_sound_records_pass_as_a_list(records):
    assert validate(iter(records)) == records
    assert validate(iter([PLAIN, FULL])) == [PLAIN, FULL]


@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        (replace(FULL, set="forget"), ["unknown set 'forget'", "use one of full"]),
        (replace(FULL, id=PLAIN.id), ["occurs twice"]),
        (replace(FULL, question=" \n"), ["empty question"]),
        (replace(FULL, answer=""), ["empty answer"]),
        (replace(PLAIN, id="full-0009"), ["same question and answer as full-0000"]),
        (replace(FULL, spans=((0, 99),)), ["(0, 99)", "outside the answer of 11 characters"]),
        (replace(FULL, spans=((-1, 2),)), ["(-1, 2)", "outside"]),
        (replace(FULL, spans=((3, 3),)), ["(3, 3)", "outside"]),
        (replace(FULL, spans=((1, 2), (5, 4))), ["(5, 4)", "outside"]),
        (replace(FULL, splits=("forget10", "retain90")), ["in forget10 and in retain90"]),
    ],
)
def test_unsound_record_is_named(wrong, parts):
    with pytest.raises(InputError) as caught:
        validate([PLAIN, wrong])
    message = str(caught.value)
    assert wrong.id in message
    assert not [part for part in parts if part not in message], message


def test_a_span_may_reach_to_the_last_character():
    validate([replace(FULL, spans=((0, len(FULL.answer)),))])


def test_one_answer_may_serve_several_questions_and_sets():
    validate([PLAIN, replace(PLAIN, id="b", question="Who else?"), replace(PLAIN, id="c", set="world")])


# --- choosing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forget", "retain"),
    [("forget01", "retain99"), ("forget05", "retain95"), ("forget10", "retain90"), ("forget99", "retain01")],
)
def test_retain_split_of_a_forget_split(forget, retain):
    assert retain_split(forget) == retain


@pytest.mark.parametrize("name", ["retain90", "forget", "forget00", "forget100", "forget-5", "forget1x", "10", ""])
def test_no_forget_split(name):
    with pytest.raises(InputError, match=rf"'{name}' is not a forget split.*forget10"):
        retain_split(name)


def test_select_keeps_order(records):
    chosen = select(reversed(records), "full", "forget10")
    assert [r.id for r in chosen] == [r.id for r in reversed(records) if "forget10" in r.splits and r.set == "full"]
    assert len(chosen) == 4
    assert len(select(records, "full")) == 48


def test_select_does_not_mix_sets(records):
    """Holdout rows carry the name of the forget split that they are the counterpart of."""
    assert {r.set for r in select(records, "holdout", "forget10")} == {"holdout"}
    assert {r.set for r in select(records, "full", "forget10")} == {"full"}


def test_select_says_what_there_is(records):
    with pytest.raises(InputError, match=r"'full' has no split 'forget20'.*forget01, forget05, forget10, retain90"):
        select(records, "full", "forget20")
    with pytest.raises(InputError, match=r"'world' is empty.*none"):
        select([PLAIN], "world")


def test_forget_and_retain_split_make_up_the_full_set(records):
    full = fine_tuning_rows(records, "full", rehearse=False)
    retain = fine_tuning_rows(records, "retain90", rehearse=False)
    assert full == select(records, "full")
    assert retain == [r for r in full if r not in select(records, "full", "forget10")]
    assert len(retain) == 44


def test_rehearsal_adds_world_rows_about_the_utility_sets_only(records):
    rows = fine_tuning_rows(records, "retain90", rehearse=True)
    plain = fine_tuning_rows(records, "retain90", rehearse=False)
    assert rows[: len(plain)] == plain
    added = rows[len(plain) :]
    subjects = {r.group for r in records if r.set in ("real_authors", "world_facts")}
    assert added
    assert {r.set for r in added} == {"world"}
    assert {r.group for r in added} == subjects
    forgotten = {r.group for r in select(records, "full", "forget10")}
    assert not {r.group for r in rows} & forgotten


def test_fine_tuning_on_a_split_that_is_not_there(records):
    with pytest.raises(InputError, match="retain80"):
        fine_tuning_rows(records, "retain80", rehearse=True)
