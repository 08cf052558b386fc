"""A whole study, small: it runs, it does not run again, and only what must be rerun is."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from lethe.exhibits import EXHIBITS
from lethe.io import read_provenance
from lethe.provenance import STAMP

pytestmark = pytest.mark.workflow


def results(workflow) -> Path:
    return workflow.folder / "results" / "tiny"


def test_everything_is_made(finished):
    folder = results(finished)
    table = pd.read_parquet(folder / "weigh/nano/forget10.parquet")
    assert {"sample", "text", "logprob", "entropy_T1.0", "informative_gold", "weight_ETW"} <= set(table.columns)
    assert {"pos", "noun_chunk", "entity", "mutual_information", "variance_T1.0", "margin_T1.0"} <= set(table.columns)
    runs = pd.read_csv(folder / "main/runs.csv")
    assert runs["method"].tolist() == ["full", "retain", *finished.config["methods"]]
    summary = json.loads((folder / "evaluate/nano/forget10/summary.json").read_text())
    for values in summary["runs"].values():
        for value in values.values():
            assert value["value"] is not None or value["reason"]
    for exhibit in EXHIBITS.values():
        for _, path, _, _ in exhibit.files():
            file = folder / path.format(model="nano", split="forget10", method="ETW")
            assert file.stat().st_size > (1000 if file.suffix in (".svg", ".pdf", ".png") else 100), file
    assert "| nano | forget10 |" in (folder / "check/check.md").read_text()


def test_the_starting_model_is_looked_at_while_it_is_fine_tuned_and_a_retain_model_is_not(finished):
    epochs = {
        data: pd.read_parquet(results(finished) / f"finetune/nano/{data}/epochs.parquet")
        for data in ("full", "retain90")
    }
    assert epochs["full"]["epoch"].unique().tolist() == list(range(finished.config["finetune"]["epochs"] + 1))
    assert epochs["retain90"].empty


def test_results_carry_their_provenance(finished):
    folder = results(finished)
    record = json.loads((folder / "provenance/provenance.json").read_text())
    assert record["resolved_config"]["study"] == "tiny"
    assert record["packages"]["torch"]
    assert record["models"]["nano"]["parameters"] > 0
    for table in ("weigh/nano/forget10.parquet", "measure/nano/full/tokens.parquet"):
        origin = read_provenance(folder / table)
        assert origin["config_sha256"] == record["config_sha256"]
        assert origin["commit"] == record["commit"]
    for table in sorted(folder.rglob("*.csv")):
        carried = pd.read_csv(table, keep_default_na=False)
        for key in STAMP:
            assert carried[key].unique().tolist() == [record[key]] * (len(carried) > 0), (table, key)


def test_notebook_was_executed(finished):
    notebook = nbformat.read(results(finished) / "explore_tokens/tokens.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any(cell.outputs for cell in code)
    assert all(cell.execution_count for cell in code if cell.source.strip())
    assert len(pd.read_csv(results(finished) / "explore_tokens/pressed_tokens.csv"))


def test_second_run_has_nothing_to_do(finished):
    assert "Nothing to be done" in finished.run()


def test_report_is_one_page(finished):
    finished.run("--report", "report.html")
    page = (finished.folder / "report.html").read_text()
    assert "etw_fig2" in page
    assert "2 Results" in page


def test_weights_by_epoch_start_at_the_token_table(finished):
    folder = results(finished)
    table = pd.read_parquet(folder / "weigh/nano/forget10.parquet")
    for method in finished.config["methods"]:
        weights = pd.read_parquet(folder / f"unlearn/nano/forget10/{method}/seed0/weights.parquet")
        assert sorted(weights["epoch"].unique()) == [0, 1]
        start = weights[weights["epoch"] == 0].merge(table, on=["sample", "position", "token_id"], validate="1:1")
        assert len(start) == len(table)
        # RMU's frozen weights are rounded to bfloat16 (lora), which its uniform weights do not see
        assert (start["weight"] - start[f"weight_{method}"]).abs().max() < 1e-4


def test_trajectories_start_at_the_full_model(finished):
    runs = pd.read_parquet(results(finished) / "trajectory/nano/forget10/runs.parquet")
    full = runs[runs["method"] == "full"].iloc[0]
    start = runs[runs["epoch"] == 0]
    assert len(start) == len(finished.config["methods"])
    assert (start["utility_teacher_forced"] - full["utility_teacher_forced"]).abs().max() < 1e-6
    assert runs["model_utility"].isna().all()  # the cheap suite generates nothing


def test_a_swept_method_is_what_its_search_chose(finished):
    folder = results(finished)
    chosen = json.loads((folder / "search/nano/forget10/ETW/chosen.json").read_text())
    runs = pd.read_parquet(folder / "search/nano/forget10/ETW/runs.parquet")
    assert runs["point"].tolist() == ["temperature=1.0", "temperature=2.0"]
    assert runs.loc[runs["chosen"], "point"].tolist() == [chosen["point"]]
    assert chosen["seed"] not in finished.config.get("seeds", [0])
    temperature = chosen["method"]["weighting"]["entropy"]["temperature"]
    table = pd.read_parquet(folder / "weigh/nano/forget10.parquet")
    entropy = table[f"entropy_T{temperature}"]
    expected = entropy / entropy.groupby(table["sample"]).transform("mean")
    assert (table["weight_ETW"] - expected).abs().max() < 1e-5


def test_what_is_measured_in_a_run_is_what_its_kept_model_says(copy):
    """One code path: a kept model that is measured again gives the same numbers, to the digit."""
    for method in ("GA", "RMU"):  # whole weights, and merged adapters
        place = f"nano/forget10/{method}/seed0"
        copy.run("--", f"results/tiny/measure/{place}/tokens.parquet")
        for table in ("tokens", "generations"):
            run, again = (
                pd.read_parquet(results(copy) / f"{rule}/{place}/{table}.parquet") for rule in ("unlearn", "measure")
            )
            pd.testing.assert_frame_equal(run, again, check_exact=True)


def test_another_measurement_trains_no_kept_model_again(copy):
    copy.config["measure"]["max_new_tokens"] = 5
    jobs = copy.would_run()
    # A search judges by what is measured, so what it chose may change; nothing else is trained.
    swept = {"ETW", "Margin"}
    assert {job["method"] for job in jobs["unlearn"]} == swept
    methods = set(copy.config["methods"])
    assert {job["run"] for job in jobs["measure"]} == {"full", "retain90", *(f"forget10/{m}/seed0" for m in methods)}
    assert not {"finetune", "score"} & set(jobs)


def test_without_kept_models_nothing_is_written_and_a_measurement_trains_again(copy):
    copy.config["keep_models"] = False
    run = "results/tiny/unlearn/nano/forget10/GA/seed0"
    copy.run("--forcerun", "unlearn", "--", f"{run}/log.parquet")
    assert not (copy.folder / run / "model").exists()
    runs = pd.read_parquet(copy.folder / run / "tokens.parquet")
    kept = pd.read_parquet(results(copy) / "unlearn/nano/forget10/NPO/seed0/tokens.parquet")
    assert runs.columns.tolist() == kept.columns.tolist()
    copy.config["measure"]["max_new_tokens"] = 5
    assert "GA" in {job["method"] for job in copy.would_run("--", f"{run}/log.parquet")["unlearn"]}


def test_a_new_configuration_of_a_sweep_searches_and_trains_that_method(copy):
    copy.config["methods"]["ETW"]["sweep"]["weighting.temperature"].append(3.0)
    copy.config["temperatures"] = [1.0, 2.0]  # the table's entropies are extended, so what reads scores runs too
    jobs = copy.would_run()
    assert [job["method"] for job in jobs["search"]] == ["ETW"]
    assert {job["method"] for job in jobs["unlearn"]} == {"ETW", "NPO", "IdkDPO"}
    assert "finetune" not in jobs


def test_the_selection_rule_tries_nothing_again(copy):
    copy.config["selection"] = {"rule": "lowest_neg_log10_fq"}
    journal = results(copy) / "search/nano/forget10/ETW/journal.log"
    trials = journal.read_text().count('"op_code":4')  # Optuna's "create trial"
    assert trials == 2
    copy.run("--", "results/tiny/search/nano/forget10/ETW/chosen.json")
    assert journal.read_text().count('"op_code":4') == trials
    chosen = json.loads((results(copy) / "search/nano/forget10/ETW/chosen.json").read_text())
    assert chosen["rule"] == "lowest_neg_log10_fq"


def test_a_new_method_runs_alone(copy):
    copy.config["methods"]["WGA"] = {"weighting": "confidence", "objective": "ascent", "retain": "nll"}
    jobs = copy.would_run()
    assert [job["method"] for job in jobs["unlearn"]] == ["WGA"]
    assert not {"prepare", "base", "finetune", "measure", "tokens", "annotate", "score", "reference"} & set(jobs)


def test_a_new_seed_runs_alone(copy):
    copy.config["seeds"] = [0, 1]
    assert {job["seed"] for job in copy.would_run()["unlearn"]} == {"1"}


def test_presentation_reruns_presentation(copy):
    copy.config["figures"]["bootstrap"] = 21
    intervals = {"etw_fig2", "etw_memorisation", "correlation", "etw_tab_forms", "significance"}
    assert "etw_fig2" in copy.would_run()
    assert set(copy.would_run()) - {"provenance"} <= intervals


def test_a_metric_setting_measures_nothing_again(copy):
    copy.config["evaluate"] = {"min_k": 0.2}
    jobs = copy.would_run()
    assert "evaluate" in jobs
    assert not {"finetune", "measure"} & set(jobs)
    # A search judges by metrics, so what it chose may change; nothing else is trained or measured again.
    swept = {name for name, method in copy.config["methods"].items() if "sweep" in method}
    assert {job["method"] for job in jobs["unlearn"]} == swept == {"ETW", "Margin"}


def test_a_new_label_source_trains_nothing_that_does_not_read_it(copy):
    copy.config["labels"] = {"gold": {"source": "gold"}, "mine": {"source": "span_file", "path": "mine.jsonl"}}
    (copy.folder / "mine.jsonl").write_text('{"question": "Q", "answer": "A", "target_words": []}\n')
    jobs = copy.would_run()
    assert {"annotate", "weigh", "etw_fig2"} <= set(jobs)
    assert [job["method"] for job in jobs["unlearn"]] == ["Oracle"]  # it reads labels
    assert "score" not in jobs
    assert "mine.jsonl" in copy.run("--dry-run")


def test_a_new_temperature_trains_only_what_reads_scores(copy):
    copy.config["temperatures"] = [1.0, 3.0]
    jobs = copy.would_run()
    assert {"score", "weigh"} <= set(jobs)
    assert {job["method"] for job in jobs["unlearn"]} == {"NPO", "IdkDPO"}


def test_training_of_one_method_reruns_that_method(copy):
    copy.config["methods"]["GA"]["training"] = {"epochs": 2}
    assert [job["method"] for job in copy.would_run()["unlearn"]] == ["GA"]


def edit(workflow, module: str) -> None:
    path = workflow.source / "lethe" / f"{module}.py"
    path.write_text(path.read_text() + "\n# edited\n")


def test_editing_a_weighting_reruns_the_methods_that_use_it(copy):
    edit(copy, "weightings/entropy")
    jobs = copy.would_run()
    assert {job["method"] for job in jobs["unlearn"]} == {"ETW"}
    assert [job["method"] for job in jobs["search"]] == ["ETW"]
    assert "finetune" not in jobs


def test_editing_the_seeding_reruns_the_base_model(copy):
    edit(copy, "models/device")
    assert {"base", "finetune", "unlearn", "search"} <= set(copy.would_run())


def test_editing_a_figure_reruns_that_figure_alone(copy):
    edit(copy, "figures/heatmap")
    # the notebook draws a heat-map, too
    assert set(copy.would_run()) == {"heatmap", "explore_tokens"}
    edit(copy, "figures/etw_fig5")
    assert set(copy.would_run()) == {"heatmap", "explore_tokens", "etw_fig5"}


def test_touching_a_module_reruns_nothing(copy):
    for path in (copy.source / "lethe").rglob("*.py"):
        path.touch()
    assert not copy.would_run()


def test_a_killed_run_resumes(copy):
    copy.config["seeds"] = [0, 1]
    copy.config["unlearn"]["epochs"] = 300  # long enough to be caught in the middle
    target = results(copy) / "unlearn/nano/forget10/GA/seed1"
    wanted = str((target / "log.parquet").relative_to(copy.folder))
    log = results(copy) / "logs/unlearn/nano/forget10/GA/seed1.log"
    process = subprocess.Popen(
        copy.command("--", wanted),
        cwd=copy.folder,
        env=copy.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not (log.exists() and "step" in log.read_text()) and time.monotonic() < deadline:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (target / "model").exists()
    assert not (target / "log.parquet").exists()

    copy.config["unlearn"]["epochs"] = 1
    copy.run("--unlock")
    output = copy.run("--", wanted)
    assert (target / "model/model.safetensors").exists()
    assert (target / "tokens.parquet").exists()
    assert not list(results(copy).rglob("*.partial*"))
    assert "rule unlearn" in output
    assert "rule finetune" not in output


def test_a_failing_input_is_reported_and_leaves_nothing(copy):
    copy.config["benchmark"]["authors"] = 11
    copy.config["splits"] = ["forget33"]
    output = copy.run(check=False)
    assert "forget33" in output
    log = (results(copy) / "logs/prepare.log").read_text()
    assert "it has forget01, forget05, forget10" in log
    assert "Traceback" in log
