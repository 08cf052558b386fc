"""Every figure and table: module, caption and declaration agree. What `make` writes, the workflow tests see."""

import ast
import inspect
import re
import string
from importlib import import_module
from pathlib import Path

import pytest

from lethe.exhibits import EXHIBITS, SUFFIXES

CAPTIONS = Path(__file__).parents[2] / "workflow/report"
ALWAYS = {"place", "places"}
"""Settings that every job has."""

every_exhibit = pytest.mark.parametrize("exhibit", EXHIBITS.values(), ids=EXHIBITS)


def make_of(exhibit) -> ast.FunctionDef:
    make = import_module(f"lethe.{exhibit.package}.{exhibit.name}").make
    return ast.parse(inspect.getsource(make)).body[0]


def attributes(make: ast.FunctionDef, name: str) -> set[str]:
    """What `make` takes from one of its arguments."""
    nodes = [node for node in ast.walk(make) if isinstance(node, ast.Attribute)]
    return {node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id == name}


def said(exhibit, kind: str) -> set[str]:
    """Parameters or wildcards that a caption inserts."""
    return set(re.findall(rf"snakemake\.{kind}\.(\w+)", (CAPTIONS / f"{exhibit.name}.rst").read_text()))


@every_exhibit
def test_make_has_the_arguments_that_the_script_gives(exhibit):
    make = make_of(exhibit)
    assert [argument.arg for argument in make.args.args] == ["source", "settings", "target"]
    assert ast.get_docstring(make)


@every_exhibit
def test_what_is_read_and_set_is_declared_and_used(exhibit):
    make = make_of(exhibit)
    assert attributes(make, "source") == set(exhibit.reads)
    assert (attributes(make, "settings") - ALWAYS) | said(exhibit, "params") == set(exhibit.settings)
    assert len(set(exhibit.settings)) == len(exhibit.settings)


@every_exhibit
def test_captions_insert_wildcards_that_the_path_has(exhibit):
    wildcards = {name for _, name, _, _ in string.Formatter().parse(exhibit.path()) if name}
    assert said(exhibit, "wildcards") <= wildcards


WRITERS = {"style.save": "figure", "write": "table", "target.csv": "csv", "target.page": "page"}


def written(make: ast.FunctionDef) -> list[tuple[str, str]]:
    """(kind, part) of each output that `make` writes."""
    found = []
    for call in ast.walk(make):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in WRITERS:
            kind = WRITERS[ast.unparse(call.func)]
            where = call.args[1] if len(call.args) > 1 else ast.Constant("")
            if kind in ("figure", "table"):
                assert ast.unparse(where.func) == "target.stem"
                where = where.args[0] if where.args else ast.Constant("")
            found.append((kind, ast.literal_eval(where)))
    return found


@every_exhibit
def test_every_declared_output_is_written_once(exhibit):
    assert sorted(written(make_of(exhibit))) == sorted((output.kind, output.part) for output in exhibit.outputs)


@every_exhibit
def test_outputs_of_one_part_do_not_overwrite_each_other(exhibit):
    files = [f"{output.part}.{suffix}" for output in exhibit.outputs for suffix in SUFFIXES[output.kind]]
    assert len(set(files)) == len(files)


def test_no_caption_is_left_over():
    assert {path.stem for path in CAPTIONS.glob("*.rst")} == {*EXHIBITS, "check", "workflow"}
