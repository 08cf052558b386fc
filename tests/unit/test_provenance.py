"""The same code, configuration and environment give the same provenance."""

import hashlib
import json
import re
import subprocess
from importlib.metadata import version

import pytest

from lethe import provenance as module
from lethe.provenance import PACKAGES, commit, provenance

CONFIG = {"study": "small", "seeds": [0, 1], "nested": {"b": 1, "a": None}}


def test_keys():
    origin = provenance(CONFIG)
    assert set(origin) == {
        "lethe_version",
        "commit",
        "config_sha256",
        "python",
        "platform",
        "packages",
        "config",
    }
    assert set(PACKAGES) <= set(origin["packages"])
    assert origin["packages"]["torch"] == version("torch")
    assert origin["lethe_version"] == version("lethe")
    assert origin["config"] == CONFIG
    assert json.loads(json.dumps(origin, allow_nan=False)) == origin


def test_nothing_in_it_depends_on_when_or_where(monkeypatch, tmp_path):
    first = provenance(CONFIG)
    monkeypatch.setattr("time.time", lambda: 4e9)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "somebody")
    assert provenance(CONFIG) == first
    text = json.dumps({key: value for key, value in first.items() if key != "packages"})
    assert not re.search(r"\d{4}-\d\d-\d\d|\d\d:\d\d", text), "a time stamp"
    assert "/" not in text, "a path"


@pytest.fixture
def broken(monkeypatch, tmp_path):
    """Two installed packages: one without any metadata, and one whose metadata tell no version."""
    (tmp_path / "silent-1.dist-info").mkdir()
    (tmp_path / "silent-1.dist-info" / "METADATA").write_text("Name: silent\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "PACKAGES", (*PACKAGES, "absent", "silent"))


def test_a_package_without_metadata_is_unknown(broken):
    packages = provenance(CONFIG)["packages"]
    assert packages["absent"] == packages["silent"] == "unknown"
    assert packages["torch"] == version("torch")


def test_hash_is_that_of_the_canonical_config():
    canonical = json.dumps(CONFIG, sort_keys=True)
    assert provenance(CONFIG)["config_sha256"] == hashlib.sha256(canonical.encode()).hexdigest()


def test_order_of_keys_does_not_matter_and_values_do():
    reordered = {"nested": {"a": None, "b": 1}, "seeds": [0, 1], "study": "small"}
    assert provenance(reordered)["config_sha256"] == provenance(CONFIG)["config_sha256"]
    for other in ({**CONFIG, "seeds": [1, 0]}, {**CONFIG, "seed": 0}, {**CONFIG, "nested": {}}):
        assert provenance(other)["config_sha256"] != provenance(CONFIG)["config_sha256"]


@pytest.fixture
def checkout(monkeypatch, tmp_path):
    """A repository with one commit, in which `lethe.provenance` believes to live."""

    def git(*arguments):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "code.py").write_text("x = 1\n")
    git("add", "code.py")
    git("commit", "-q", "-m", "first")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "provenance.py"))
    commit.cache_clear()
    yield tmp_path, git("rev-parse", "HEAD")
    commit.cache_clear()


def test_commit_of_a_clean_checkout(checkout):
    folder, head = checkout
    (folder / "results.txt").write_text("untracked files are no change of the code")
    assert re.fullmatch(r"[0-9a-f]{40}", head)
    assert commit() == head


def test_changed_code_is_told(checkout):
    folder, head = checkout
    (folder / "code.py").write_text("x = 2\n")
    assert commit() == f"{head}-dirty"


def test_commit_is_asked_for_once(checkout):
    """All tables of a process carry the same commit, even if somebody edits the code meanwhile."""
    folder, head = checkout
    assert commit() == head
    (folder / "code.py").write_text("x = 2\n")
    assert commit() == head


@pytest.mark.parametrize("path", ["", "/nonexistent"], ids=["outside a checkout", "without git"])
def test_commit_is_unknown_without_a_repository(monkeypatch, tmp_path, path):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "provenance.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    if path:
        monkeypatch.setenv("PATH", path)
    commit.cache_clear()
    assert commit() == "unknown"
    commit.cache_clear()
