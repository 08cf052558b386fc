"""A file that exists is complete, and what is read is what was written."""

import json
import math
import os
import signal
import socket
import subprocess
import sys

import pandas as pd
import pyarrow.parquet as pq
import pytest

from lethe.errors import InputError
from lethe.io import atomic, read_json, read_provenance, read_table, require, write_json, write_table, write_text


class Interrupted(Exception):
    pass


def write_and_fail(target, error, folder=False):
    with atomic(target) as temporary:
        if folder:
            temporary.mkdir()
        (temporary / "new" if folder else temporary).write_text("new, but")
        raise error


# --- atomic -----------------------------------------------------------------------------------------------


def test_file_appears_at_the_end_and_not_before(tmp_path):
    target = tmp_path / "deep" / "down" / "file.txt"
    with atomic(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == target.parent, "renaming is atomic within a file system only"
        assert temporary.suffix == ".txt"
        assert temporary.name.startswith("."), "globs should not find it"
        inode = temporary.stat().st_ino
    assert target.read_text() == "half"
    assert target.stat().st_ino == inode, "a copy could be cut short, a renamed file cannot"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [Interrupted, KeyboardInterrupt, SystemExit])
def test_failure_leaves_no_file(tmp_path, error):
    with pytest.raises(error):
        write_and_fail(tmp_path / "file.txt", error)
    assert list(tmp_path.iterdir()) == []


def test_failure_leaves_the_old_file(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(Interrupted):
        write_and_fail(target, Interrupted)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_failure_before_anything_was_written(tmp_path):
    with pytest.raises(Interrupted), atomic(tmp_path / "file.txt"):
        raise Interrupted
    assert list(tmp_path.iterdir()) == []


def test_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "model"
    for name in ("first", "second"):
        with atomic(target) as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
    assert [path.name for path in target.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [target]


def test_failure_leaves_the_old_folder(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(Interrupted):
        write_and_fail(target, Interrupted, folder=True)
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("old", [None, "old"])
def test_killed_job_leaves_the_old_file_or_none(tmp_path, old):
    """No handler runs on SIGKILL, so only the order of writing and renaming protects the target."""
    target = tmp_path / "file.txt"
    if old:
        target.write_text(old)
    script = (
        "import os, signal, sys\n"
        "from lethe.io import atomic\n"
        "with atomic(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(target)])
    assert done.returncode == -signal.SIGKILL
    assert (target.read_text() if target.exists() else None) == old
    write_text(target, "whole")
    assert target.read_text() == "whole"


KILLED = """
import os, signal, sys
from lethe.io import atomic
with atomic(sys.argv[1]) as temporary:
    if temporary.suffix:
        temporary.write_text("half")
    else:
        temporary.mkdir()
        (temporary / "weights").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", ["file.txt", "model"])
def test_what_a_killed_job_left_goes_with_the_next_write(tmp_path, name):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)])
    assert len(list(tmp_path.iterdir())) == 1, "the job was killed while it saved"
    write_text(tmp_path / "other.txt", "another target")
    assert len(list(tmp_path.iterdir())) == 2
    with atomic(tmp_path / name) as temporary:
        assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]
        temporary.write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "other.txt"])


def test_own_number_on_a_leftover_is_an_earlier_process(tmp_path):
    """In a container, process numbers come again; a folder must not be saved into a half of another."""
    with atomic(tmp_path / "model") as temporary:
        temporary.mkdir()
    temporary.mkdir()
    (temporary / "weights").write_text("half")
    with atomic(tmp_path / "model") as temporary:
        assert not temporary.exists()
        temporary.mkdir()
    assert list((tmp_path / "model").iterdir()) == []


@pytest.mark.parametrize("other", ["running", "host"])
def test_what_may_still_be_written_stays(tmp_path, other):
    with atomic(tmp_path / "file.txt") as temporary:
        temporary.write_text("")
    me = str(os.getpid())
    if other == "running":
        left = tmp_path / temporary.name.replace(f".{me}.", f".{os.getppid()}.")
    else:
        left = tmp_path / temporary.name.replace(socket.gethostname(), "elsewhere")
    left.write_text("half")
    write_text(tmp_path / "file.txt", "whole")
    assert left.read_text() == "half"


def test_two_writers_do_not_share_a_temporary_file(tmp_path):
    with atomic(tmp_path / "a.csv") as a, atomic(tmp_path / "a.md") as b, atomic(tmp_path / "b.csv") as c:
        assert len({a, b, c}) == 3
        assert str(os.getpid()) in a.name, "another process writes elsewhere"
        for path in (a, b, c):
            path.write_text("")


# --- JSON -------------------------------------------------------------------------------------------------


def test_json_comes_back_and_is_readable(tmp_path):
    value = {"name": "Zoë 漢字", "none": None, "list": [1, 2.5, True]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert "Zoë 漢字" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_undefined_numbers_are_refused_and_the_old_file_stays(tmp_path, value):
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"x": [value]})
    assert read_json(tmp_path / "a.json") == {"x": 1}
    assert len(list(tmp_path.iterdir())) == 1


# --- tables -----------------------------------------------------------------------------------------------


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "sample": ["a", "ü", "漢"],
            "position": pd.array([0, 1, 2], dtype="int32"),
            "logprob": pd.array([-0.1, -math.inf, 0.1 + 0.2], dtype="float64"),
            "informative_gold": pd.array([True, None, False], dtype="boolean"),
            "seed": pd.array([1, None, 3], dtype="Int64"),
        },
        index=[7, 3, 5],
    )


def test_table_comes_back_value_for_value(tmp_path, table):
    write_table(tmp_path / "t.parquet", table)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), table.reset_index(drop=True), check_exact=True)
    assert read_provenance(tmp_path / "t.parquet") == {}


def test_table_carries_its_provenance(tmp_path, table):
    origin = {"config_sha256": "ab", "config": {"study": "Zoë", "seeds": [0, 1]}, "commit": None}
    write_table(tmp_path / "t.parquet", table, origin)
    assert read_provenance(tmp_path / "t.parquet") == origin
    assert json.loads(pq.read_schema(tmp_path / "t.parquet").metadata[b"lethe"]) == origin
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), table.reset_index(drop=True))


def test_same_table_same_bytes(tmp_path, table):
    for name in ("a", "b"):
        write_table(tmp_path / f"{name}.parquet", table, {"x": 1})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_chosen_columns(tmp_path, table):
    write_table(tmp_path / "t.parquet", table)
    assert list(read_table(tmp_path / "t.parquet", ["logprob", "sample"]).columns) == ["logprob", "sample"]


def test_a_table_in_memory_and_a_file_miss_columns_in_the_same_words(tmp_path):
    table = pd.DataFrame({"a": [1]})
    write_table(tmp_path / "t.parquet", table)
    with pytest.raises(InputError) as here:
        require(table, ["b", "a", "c"], tmp_path / "t.parquet")
    with pytest.raises(InputError) as there:
        read_table(tmp_path / "t.parquet", ["b", "a", "c"])
    assert str(here.value) == str(there.value)
    assert "column ['b', 'c'] is missing; present are ['a']" in str(here.value)
    require(table, ["a"], "table")


def test_missing_column_names_file_and_column(tmp_path, table):
    write_table(tmp_path / "t.parquet", table)
    with pytest.raises(InputError, match=r"t\.parquet.*'weight_ETW'.*missing.*'sample'") as caught:
        read_table(tmp_path / "t.parquet", ["sample", "weight_ETW"])
    assert "['weight_ETW']" in str(caught.value)
