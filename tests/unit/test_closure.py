"""Which files decide what a script does: computed from imports, without lists by hand."""

from pathlib import Path

import pytest

from lethe.config import MethodConfig
from lethe.plan.closure import PACKAGE, closure, imported, module, part_files


def names(paths) -> set[str]:
    return {path.relative_to(PACKAGE).with_suffix("").as_posix() for path in paths}


@pytest.fixture
def script(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / f"script{len(list(tmp_path.iterdir()))}.py"  # what a file imports is looked up once
        path.write_text(text)
        return path

    return write


def test_imports_are_followed_through_modules_and_into_functions(script):
    found = names(closure([script("def f():\n    from lethe.models.device import seed_everything\n")]))
    assert "models/device" in found
    found = names(closure([script("import lethe.training.loop\n")]))
    assert {"training/loop", "models/device", "models/states", "methods/kernel", "methods/logits"} <= found


def test_a_module_imported_from_its_package_counts(script):
    assert "training/reference" in names(closure([script("from lethe.training import reference\n")]))


def test_imports_for_type_checking_do_not_count(script):
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lethe.models import sources\n"
    assert names(closure([script(text)])) == set()


def test_plumbing_config_and_registries_are_left_out(script):
    text = "from lethe.config import load\nfrom lethe.io import read_table\nfrom lethe.weightings import WEIGHTINGS\n"
    assert names(closure([script(text)])) == set()


def test_code_of_a_notebook_counts(tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_text('{"cells": [{"cell_type": "code", "source": ["%matplotlib inline\\n", "import lethe.selection"]}]}')
    assert names(imported(path)) == {"__init__", "selection"} - {"__init__"}


def test_parts_bring_the_files_of_their_classes_at_any_depth():
    method = MethodConfig(weighting={"spread": {"form": "margin"}}, objective="npo", retain="nll")
    found = names(part_files(method))
    assert {"weightings/spread", "methods/forms", "objectives/npo", "retain/nll"} <= found
    assert "weightings/entropy" not in found


def test_the_closure_of_a_figure_holds_no_model_code():
    found = names(closure(module("figures.etw_fig3")))
    assert "figures/style" in found
    assert not {name for name in found if name.startswith(("models/", "training/"))}
