"""Which files decide what a script does: the closure of its imports within the package.

Snakemake sees edits of scripts, not of what they import. As inputs of a rule, these files rerun it when edited,
and nothing else does: registries and the config are left out, the parts of methods in use are added by their classes.
"""

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from pydantic import BaseModel

import lethe
from lethe.methods.part import Part

PACKAGE = Path(lethe.__file__).parent
STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)

# They decide no number: an edit to them must not rerun a study. The config reaches rules as parameters.
PLUMBING = {"errors", "io", "script", "provenance", "exhibits", "target", "splits"}
# Adding a part must rerun nothing that does not use it: the parts in use are added by the modules of their classes.
REGISTRIES = {
    f"{package}/__init__"
    for package in (
        *("weightings", "weightings/scores", "weightings/scales"),
        *("objectives", "retain", "labels", "benchmarks"),
    )
}


@cache
def imported(path: Path) -> frozenset[Path]:
    """Files of the package that a module or script imports, lazily or not; those for type checking are left out."""
    found: set[Path] = set()
    for node in _runtime(ast.parse(_source(path))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "lethe":
                found.update(_files(name.split(".")[1:]))
    return frozenset(found - {path})


def _source(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return re.sub(r"^\s*%.*$", "", code, flags=re.M)


def _runtime(tree: ast.AST) -> Iterator[ast.AST]:
    """All statements but those under `if TYPE_CHECKING:`; expressions, which are most of a tree, import nothing."""
    open_ = [tree]
    while open_:
        node = open_.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        open_ += [child for child in ast.iter_child_nodes(node) if isinstance(child, STATEMENTS)]


def _files(parts: list[str]) -> Iterator[Path]:
    """The module `lethe.<parts>` and the packages above it, as far as they are files."""
    for depth in range(1, len(parts) + 1):
        place = PACKAGE.joinpath(*parts[:depth])
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                yield path


@cache
def _decides(path: Path) -> bool:
    name = path.relative_to(PACKAGE).with_suffix("").as_posix()
    return name not in PLUMBING | REGISTRIES and not name.startswith(("config/", "plan/"))


def closure(entries: Iterable[Path]) -> list[Path]:
    """Files of the package that decide what the entries do: they themselves and all that they import, sorted."""
    return list(_closure(frozenset(entries)))


@cache  # a study asks for the same closures job by job
def _closure(entries: frozenset[Path]) -> tuple[Path, ...]:
    seen: set[Path] = set()
    open_ = set(entries)
    while open_:
        path = open_.pop()
        seen.add(path)
        open_ |= {other for other in imported(path) if _decides(other)} - seen
    return tuple(sorted(path for path in seen if path.is_relative_to(PACKAGE)))


def part_files(value: BaseModel) -> set[Path]:
    """Files of the classes of the parts that a section of the config holds, at any depth."""
    found = set()
    if isinstance(value, Part):
        found.add(Path(sys.modules[type(value).__module__].__file__))
    for field in type(value).model_fields:
        if isinstance(inner := getattr(value, field), BaseModel):
            found |= part_files(inner)
    return found


def module(*names: str) -> list[Path]:
    """Files of modules of the package by their names: `module("tokens.weigh")`."""
    return [PACKAGE.joinpath(*name.split(".")).with_suffix(".py") for name in names]
