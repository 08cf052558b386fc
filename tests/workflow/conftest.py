"""Runs of Snakemake in a temporary folder, over a copy of package and rules that tests may edit."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TINY = Path(__file__).with_name("tiny.yaml")


class Workflow:
    """The workflow in a working directory of its own, with its own config file and copies."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.source = folder / "src"
        if not self.source.exists():
            for name in ("src", "workflow", "notebooks"):
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            shutil.copy(ROOT / "environment.yml", folder)  # named by the rules
        self.config = yaml.safe_load(TINY.read_text())
        self.environment = {**os.environ, "PYTHONPATH": str(self.source), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

    def command(self, *arguments: str) -> list[str]:
        path = self.folder / "config.yaml"
        text = yaml.safe_dump(self.config, sort_keys=False)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        return [
            "snakemake",
            *("--snakefile", str(self.folder / "workflow" / "Snakefile")),
            *("--directory", str(self.folder)),
            *("--configfile", str(path)),
            *("--cores", "2", "--resources", "gpu=0"),
            *arguments,
        ]

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run Snakemake and return all that it printed."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert not check or done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def would_run(self, *arguments: str) -> dict[str, list[dict[str, str]]]:
        """Rule -> wildcards of each of its jobs in a dry run; the pseudo-rule `all` is left out."""
        jobs: dict[str, list[dict[str, str]]] = {}
        rule = None
        for line in self.run("--dry-run", *arguments).splitlines():
            if match := re.match(r"(?:local)?rule (\w+):", line):
                rule = match[1]
                jobs.setdefault(rule, []).append({})
            elif rule and (match := re.match(r"    wildcards: (.*)", line)):
                jobs[rule][-1] = dict(pair.split("=", 1) for pair in match[1].split(", "))
        jobs.pop("all", None)
        return jobs


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """A tiny study, run to its end once per session; tests that change it work on a `copy`."""
    workflow = Workflow(tmp_path_factory.mktemp("tiny"))
    workflow.run()
    return workflow


@pytest.fixture
def copy(finished: Workflow, tmp_path: Path) -> Workflow:
    """The finished study in a folder of its own, time stamps and Snakemake's records included."""
    shutil.copytree(finished.folder, tmp_path / "study", symlinks=True)
    return Workflow(tmp_path / "study")


@pytest.fixture
def fresh(tmp_path: Path) -> Workflow:
    """The workflow in an empty folder, with copies of package and rules that a test may edit."""
    return Workflow(tmp_path)
