"""What plans and reads tables starts without torch: reading the config is part of every rule and every dry run."""

import pkgutil
import subprocess
import sys

import pytest

import lethe.analysis
import lethe.figures
import lethe.metrics
import lethe.tables

# Weights at the starting model are computed with torch, and next tokens come from a forward pass.
COMPUTES = {"lethe.analysis.memorisation", "lethe.figures.etw_memorisation", "lethe.analysis.next_tokens"}

CODE = """
import importlib, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
    heavy = set(sys.argv[1].split()) & set(sys.modules)
    if heavy:
        sys.exit(f"{name} imports {', '.join(sorted(heavy))}")
"""


def modules(package) -> list[str]:
    names = [module.name for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")]
    return [package.__name__, *(name for name in names if name not in COMPUTES)]


GROUPS = {
    "config": [
        "lethe.config",
        "lethe.config.docs",
        "lethe.plan.drawn",
        "lethe.plan.closure",
        "lethe.selection",
        "lethe.target",
        "lethe.exhibits",
    ],
    "evaluation": [
        *(f"lethe.evaluation.{name}" for name in ("evaluate", "runs", "check", "trajectory", "chosen", "sets")),
        *modules(lethe.metrics),
    ],
    "data": [
        *("lethe.benchmarks", "lethe.benchmarks.records", "lethe.benchmarks.refusals"),
        *("lethe.labels", "lethe.tokens.table", "lethe.tokens.parse", "lethe.models.prompts"),
    ],
    "exhibits": [*modules(lethe.analysis), *modules(lethe.tables), *modules(lethe.figures)],
}


def found(names: list[str], heavy: str = "torch transformers") -> str:
    done = subprocess.run([sys.executable, "-c", CODE, heavy, *names], capture_output=True, text=True)
    return done.stderr.strip() or ("" if done.returncode == 0 else "failed without a word")


@pytest.mark.parametrize("group", GROUPS)
def test_starts_without_torch(group):
    assert found(GROUPS[group]) == ""


def test_training_starts_without_what_few_runs_use():
    """peft alone is half a second of every job that trains or measures."""
    assert found(["lethe.training.run", "lethe.training.finetune", "lethe.models.ready"], "peft datasets spacy") == ""


def test_the_check_can_tell():
    assert found(["lethe.errors", "lethe.methods.kernel"]) == "lethe.methods.kernel imports torch"
    assert "lethe.figures.etw_fig2" in GROUPS["exhibits"]
