import pytest

from lethe.errors import InputError
from lethe.publish import publish

FILES = [
    "main/main.csv",
    "main/main.md",
    "main/runs.csv",
    "etw_fig2/forget10.png",
    "correlation/forget10.csv",
    "etw_fig3/small/forget10.png",
    "training/small/forget10.png",
    "check/check.md",
    "provenance/provenance.json",
]
KEPT_BACK = [
    "main/main.html",
    "etw_fig3/small/forget10.svg",
    "explore_tokens/pressed_tokens.csv",
    "unlearn/small/forget10/GA/seed0/model/model.safetensors",
]


def make(folder, files):
    for name in files:
        path = folder / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_tables_and_figures_are_copied_and_weights_are_not(tmp_path):
    make(tmp_path, FILES + KEPT_BACK)
    written = {path.name: path.read_text() for path in publish(tmp_path / "results", tmp_path / "docs")}
    assert written["etw_fig3-small-forget10.png"] == "etw_fig3/small/forget10.png"
    assert written["correlation-forget10.csv"] == "correlation/forget10.csv"
    assert written["main-runs.csv"] == "main/runs.csv"
    assert written["check.md"] == "check/check.md"
    assert sorted(written.values()) == sorted(FILES)


@pytest.mark.parametrize("missing", ["main/main.csv", "check/check.md", "provenance/provenance.json"])
def test_unfinished_study_is_refused(tmp_path, missing):
    make(tmp_path, [name for name in FILES if name != missing])
    with pytest.raises(InputError, match=f"{missing}; finish the study"):
        publish(tmp_path / "results", tmp_path / "docs")
    assert not (tmp_path / "docs").exists()
