"""What is shipped parses, plans and is clean."""

import re
import subprocess
from pathlib import Path

import nbformat
import pytest
import yaml

from lethe.config import load

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = [ROOT / "config.yaml", *sorted((ROOT / "config").glob("*.yaml"))]

pytestmark = pytest.mark.workflow


def run(*command: str, folder: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_dry_run(config, tmp_path):
    study = yaml.safe_load(config.read_text())
    files = [label["path"] for label in study["labels"].values() if "path" in label]
    for file in filter(None, [*files, study.get("refusals")]):  # the user's files: inputs of the DAG, not shipped
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    output = run(
        "snakemake",
        *("--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)),
        *("--configfile", str(config), "--dry-run", "--cores", "2"),
    )
    loaded = load(study)
    places = len(study["models"]) * len(study["splits"])
    counts = " ".join(output.split())
    assert f"unlearn {places * len(loaded.methods) * len(study['seeds'])}" in counts
    assert not loaded.swept() or f"search {places * len(loaded.swept())}" in counts


def test_scripts_unpack_and_call():
    """What only a workflow run can reach is not tested: it is short, or it is in the package."""
    for script in (ROOT / "workflow" / "scripts").glob("*.py"):
        assert len(script.read_text().splitlines()) <= 15, script.name


def test_a_missing_label_file_stops_before_anything_runs(tmp_path):
    refusals = tmp_path / "data" / "tofu" / "idontknow.txt"  # the study's other file is there
    refusals.parent.mkdir(parents=True)
    refusals.touch()
    done = subprocess.run(
        [
            "snakemake",
            *("--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)),
            *("--configfile", str(ROOT / "config" / "tofu-smollm2.yaml"), "--dry-run"),
        ],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode != 0
    assert "data/spans/importance_forget10.pth" in done.stdout


def test_weights_of_ready_models_are_inputs_and_a_missing_folder_is_left_to_the_job(tmp_path):
    """Replacing them must rerun what is made from them; the job names the key that is wrong, planning could not."""
    study = yaml.safe_load((ROOT / "tests" / "workflow" / "tiny.yaml").read_text())
    for folder in ("full", "retain"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.safetensors").touch()
    ready = {"source": "checkpoints", "full": {"path": "full"}, "retain": {"retain90": {"path": "retain"}}}
    study["models"] = {"ready": ready, "missing": {"source": "folder", "path": "nowhere"}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    output = run(
        "snakemake",
        *("--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)),
        *("--configfile", str(tmp_path / "study.yaml"), "--dry-run", "--cores", "2"),
    )
    inputs = re.findall(r"^(?:local)?rule checkpoint:\n    input: (.*)$", output, re.M)
    assert {line.split(",")[0] for line in inputs} == {"full/model.safetensors", "retain/model.safetensors"}


def test_dry_run_with_slurm_profile(tmp_path):
    output = run(
        "snakemake",
        *("--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)),
        *("--configfile", str(ROOT / "config.yaml"), "--dry-run"),
        *("--workflow-profile", str(ROOT / "profiles" / "slurm")),
    )
    assert "gpu=1" in output
    assert "slurm_partition=CHANGE_ME_GPU" in output


def test_the_slurm_profile_names_rules_that_exist():
    """A rule that is misspelt there would run with the defaults, without a GPU's partition."""
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
    rules = (ROOT / "workflow" / "rules").glob("*.smk")
    text = "\n".join(path.read_text() for path in rules)
    known = set(re.findall(r"^rule (\w+):", text, flags=re.M))
    on_gpu = {name for name in known if "gpu=1" in text.split(f"rule {name}:")[1].split("script:")[0]}
    assert set(profile["set-threads"]) <= known
    assert set(profile["set-resources"]) == on_gpu


def test_snakemake_lint():
    run("snakemake", "--lint")


def test_snakefmt():
    run("snakefmt", "--check", "Snakefile", "workflow")


def test_ruff():
    run("ruff", "check", ".")
    run("ruff", "format", "--check", ".")


def test_rules_scripts_and_logs_agree():
    """Rule name = script name = output folder; figures and tables, made in a loop, have one script."""
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        for name, body in re.findall(r"^rule (\w+):\n((?:    .*\n|\n)+)", path.read_text(), flags=re.M):
            script = re.search(r'"\.\./scripts/(\w+)\.py"', body)
            assert (script and script[1] == name) or "notebook:" in body, f"{path.name}: {name}"
            output = body.split("    output:")[1].split("    log:")[0]
            folders = set(re.findall(r"results/\{(?:study|S)\}/(\w+)", output))
            assert folders <= {name}, f"{path.name}: {name} writes to {folders}"


def test_notebooks_are_committed_without_outputs():
    notebooks = list((ROOT / "notebooks").glob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert notebook.metadata["language_info"]["name"] == "python"
        for cell in notebook.cells:
            if cell.cell_type == "code":
                assert not cell.outputs
                assert cell.execution_count is None


def test_catalog_requirements():
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme
    assert "workflow" in readme
    assert (ROOT / "workflow" / "Snakefile").exists()
    assert (ROOT / "config" / "README.md").exists()
    assert yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]["report"] is True
