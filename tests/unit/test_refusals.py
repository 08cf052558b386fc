"""Refusals: which lines there are, and that a question keeps the one that it has drawn."""

import pytest

from lethe.benchmarks.contract import Row
from lethe.benchmarks.refusals import LINES, read_lines, refuse
from lethe.errors import InputError


@pytest.fixture(scope="module")
def forget(data):
    return data.forget("forget10")


def many(count) -> list[Row]:
    return [Row(f"full-{i:04d}", "author", f"Answer {i}.", f"Question {i}?", ((0, 6),)) for i in range(count)]


# --- lines --------------------------------------------------------------------------------------------------


def test_own_lines_are_many_and_different():
    assert read_lines(None) is LINES
    assert len(set(LINES)) == len(LINES) >= 10
    assert all(line == line.strip() and line.endswith(".") for line in LINES)


def test_a_file_has_one_refusal_per_line(tmp_path):
    path = tmp_path / "idontknow.jsonl"
    path.write_bytes("I’m not sure.\r\n\n  No idea, 漢字. \n\t\nI don't know.".encode())
    assert read_lines(path) == ("I’m not sure.", "No idea, 漢字.", "I don't know.")
    assert read_lines(str(path)) == read_lines(path)


def test_missing_file_names_path_and_key(tmp_path):
    with pytest.raises(InputError, match=r"absent.txt does not exist; correct `refusals`"):
        read_lines(tmp_path / "absent.txt")
    with pytest.raises(InputError, match="does not exist"):
        read_lines(tmp_path)  # a folder


@pytest.mark.parametrize("content", ["", "\n \n\t\n"])
def test_empty_file_is_an_error(tmp_path, content):
    path = tmp_path / "empty.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=r"empty.txt is empty; write one refusal per line"):
        read_lines(path)


def test_a_file_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "latin1.txt"
    path.write_bytes("Désolé.".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin1.txt is not UTF-8"):
        read_lines(path)


# --- rows ------------------------------------------------------------------------------------------------


def test_questions_stay_and_answers_are_refusals(forget):
    refused = refuse(forget, LINES, 0)
    assert [(r.id, r.group, r.prompt) for r in refused] == [(r.id, r.group, r.prompt) for r in forget]
    assert all(r.answer in LINES for r in refused)


def test_everything_about_the_true_answer_is_dropped():
    (refused,) = refuse(many(1), ("I do not know.",), 0)
    assert refused.answer == "I do not know."
    assert refused.spans is None


def test_the_draw_depends_on_the_seed_only():
    answers = [[r.answer for r in refuse(many(50), LINES, seed)] for seed in (0, 0, 1)]
    assert answers[0] == answers[1] != answers[2]


def test_all_lines_are_drawn_about_equally_often():
    drawn = [r.answer for r in refuse(many(1600), LINES, 3)]
    counts = [drawn.count(line) for line in LINES]
    assert min(counts) > 60  # 100 expected, standard deviation 10
    assert max(counts) < 140


def test_the_rows_given_are_not_changed():
    rows = many(3)
    refuse(rows, LINES, 0)
    assert rows == many(3)
    assert refuse([], LINES, 0) == []
