"""Conda and pip users get the same ranges, and the pins are of versions that pip finds anywhere."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
CONDA_NAMES = {"torch": "pytorch", "snakemake": "snakemake-minimal", "matplotlib": "matplotlib-base"}
CONDA_ONLY = {"python", "pip", "spacy-model-en_core_web_sm"}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def conda():
    """Package -> range in environment.yml."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    plain = [line for line in environment["dependencies"] if isinstance(line, str)]
    split = [re.fullmatch(r"([A-Za-z0-9_.-]+)\s*(.*)", line).groups() for line in plain]
    names = [name for name, _ in split]
    assert len(set(names)) == len(names)
    return {name: SpecifierSet(versions) for name, versions in split}


@pytest.fixture(scope="module")
def pins():
    """Package -> version in constraints.txt."""
    found = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, version = re.fullmatch(r"([A-Za-z0-9_.-]+)==([A-Za-z0-9_.!-]+)", line).groups()
            found[canonicalize_name(name)] = version
    return found


def test_conda_has_every_dependency_in_the_same_range(project, conda):
    for dependency in map(Requirement, project["dependencies"]):
        name = CONDA_NAMES.get(dependency.name, dependency.name)
        assert name in conda, f"environment.yml lacks {name}"
        assert conda[name] == dependency.specifier, f"{name}: pyproject.toml says {dependency.specifier}"


def test_conda_has_nothing_else(project, conda):
    named = {CONDA_NAMES.get(name, name) for name in (Requirement(line).name for line in project["dependencies"])}
    assert set(conda) - named == CONDA_ONLY


def test_conda_has_the_same_python(project, conda):
    assert conda["python"] == SpecifierSet(project["requires-python"])


def test_conda_leaves_nothing_to_pip():
    """A `pip:` section would resolve the dependencies a second time, from elsewhere."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert [line for line in environment["dependencies"] if not isinstance(line, str)] == []


def test_every_dependency_is_pinned_within_its_range(project, pins):
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    for dependency in map(Requirement, lines):
        version = pins.get(canonicalize_name(dependency.name))
        assert version is not None, f"constraints.txt lacks {dependency.name}"
        assert version in dependency.specifier, f"{dependency.name} {version} is outside {dependency.specifier}"


def test_torch_is_pinned_without_a_local_version(pins):
    """`2.13.0+cpu` would be found on one index only."""
    assert pins["torch"] == "2.13.0"


def test_constraints_name_no_url_and_no_path():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert not re.search(r"[@/\\+]|file:|-e ", text)
