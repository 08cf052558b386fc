"""A workflow script's log holds its messages and its traceback; warnings are seen on the terminal."""

import logging
import sys
from types import SimpleNamespace

import pytest
import torch

from lethe.script import limit_threads, setup


@pytest.fixture
def start(monkeypatch):
    """`setup` for a log at a path, without taking pytest's own handlers away."""
    root = logging.getLogger()
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(root, "level", root.level)
    added = []

    def start(path):
        others, root.handlers = root.handlers, []
        try:
            setup(SimpleNamespace(log=[str(path)], config={}))
        finally:
            added.extend(root.handlers)
            root.handlers = others + root.handlers
        return path

    yield start
    for handler in added:
        root.removeHandler(handler)
        handler.close()


@pytest.fixture
def log(start, tmp_path):
    return start(tmp_path / "logs" / "rule.log")


def test_messages_reach_the_log(log):
    logging.getLogger("lethe.training.loop").info("step %d", 3)
    logging.getLogger("lethe.training.loop").debug("too much")
    logging.getLogger("lethe.training.loop").warning("odd — 漢")
    text = log.read_text(encoding="utf-8")
    assert "INFO lethe.training.loop: step 3" in text
    assert "WARNING lethe.training.loop: odd — 漢" in text
    assert "too much" not in text


def test_terminal_sees_warnings_only(log):
    (terminal,) = [handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler]
    assert terminal.level == logging.WARNING


def test_uncaught_error_reaches_the_log_with_its_traceback(log):
    try:
        raise ValueError("the row is bad")
    except ValueError:
        sys.excepthook(*sys.exc_info())
    text = log.read_text(encoding="utf-8")
    assert "CRITICAL lethe: the row is bad" in text
    assert "Traceback" in text
    assert "test_script.py" in text


def test_log_starts_anew(start, tmp_path):
    path = tmp_path / "rule.log"
    path.write_text("of an earlier run")
    assert start(path).read_text() == ""


def test_requests_of_the_hub_client_are_not_logged(log):
    logging.getLogger("httpx").info("GET https://example.org")
    assert log.read_text() == ""


def test_what_is_wrong_with_the_provenance_shows_before_anything_is_computed(start, tmp_path, monkeypatch):
    def fail(config):
        raise OSError("no metadata")

    monkeypatch.setattr("lethe.script.provenance", fail)
    with pytest.raises(OSError, match="no metadata"):
        start(tmp_path / "rule.log")


def test_threads_are_limited():
    before = torch.get_num_threads()
    try:
        limit_threads(2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
