"""Every key of the config is read by somebody: one that is accepted and ignored would be a lie."""

import ast
import re
from pathlib import Path

import pytest

import lethe
from lethe import config
from lethe.section import Section

PACKAGE = Path(lethe.__file__).parent
WORKFLOW = PACKAGE.parents[1] / "workflow"


def sections() -> list[type[Section]]:
    found, open_ = [], [Section]
    while open_:
        own = open_.pop().__subclasses__()
        found += [section for section in own if section.__module__.startswith("lethe.")]
        open_ += own
    return found


def read_names() -> set[str]:
    """Names that code and rules take from something: `x.name`, `x["name"]`, `x.get("name")`, `section("name")`."""
    found = set()
    for path in WORKFLOW.rglob("*.smk"):  # no Python for `ast`
        found |= set(re.findall(r"\bSTUDY\.(\w+)", path.read_text()))
        found |= set(re.findall(r"\bPLAN\.section\(\"(\w+)\"\)", path.read_text()))
    for path in [*PACKAGE.rglob("*.py"), *WORKFLOW.rglob("scripts/*.py")]:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found.add(node.attr)
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                found.add(node.slice.value)
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("get", "section")
            ):
                found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return found


READ = read_names()


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_every_key_has_a_reader(section):
    unread = set(section.model_fields) - READ
    assert not unread, f"{section.__name__}: {sorted(unread)} are accepted and read by nobody"


def test_a_key_that_nobody_reads_is_found():
    class Careless(Section):
        a_key_that_nobody_reads: int = 0

    with pytest.raises(AssertionError, match="a_key_that_nobody_reads"):
        test_every_key_has_a_reader(Careless)


def test_the_sections_are_those_of_the_config():
    names = {section.__name__ for section in sections()}
    assert {"Study", "MeasureConfig", "EvaluateConfig", "MethodConfig", "Range", "TofuConfig", "ScratchConfig"} <= names
    assert config.Study in sections()
