"""What records in the form of TOFU must be."""

from dataclasses import replace

import pytest

from lethe.benchmarks.records import Record, retain_split, select, validate
from lethe.errors import InputError

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
