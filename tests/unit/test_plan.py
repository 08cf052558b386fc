"""The study as a graph, without Snakemake: paths, inputs, parameters, what is measured again and what is trained."""

import copy
from pathlib import Path

import pandas as pd
import pytest
import yaml

from lethe.config import load
from lethe.exhibits import EXHIBITS
from lethe.io import write_table
from lethe.plan import drawn
from lethe.plan.drawn import SETTINGS, SOURCES
from lethe.plan.measurement import measurement
from lethe.plan.rules import Plan
from lethe.plan.stages import STAGES, stages_of

ROOT = Path(__file__).resolve().parents[2]
TINY = yaml.safe_load((ROOT / "tests" / "workflow" / "tiny.yaml").read_text())


def plan_of(**changes) -> Plan:
    return Plan(load(copy.deepcopy(TINY) | changes), ROOT / "workflow" / "scripts")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of()


@pytest.mark.parametrize(
    ("column", "stage"),
    [
        *[("informative_gold", "annotate"), ("logprob", "score"), ("entropy_T0.5", "score"), ("pos", "parse")],
        *[("variance_T1.0", "score"), ("top_k_entropy_k10_T2.0", "score"), ("mutual_information", "embedding_noise")],
        *[("noun_chunk", "parse"), ("entity", "parse")],
    ],
)
def test_each_column_has_one_stage(column, stage):
    assert stages_of([column]) == [stage]


def test_a_column_is_matched_whole():
    """`entity` is of the parser; a label called so, or an entropy of entities, is not."""
    assert stages_of(["entity_T1.0", "position", "posterior"]) == []
    assert stages_of(["informative_entity"]) == ["annotate"]
    assert list(STAGES) == stages_of(["mutual_information", "pos", "logprob", "informative_x"])


def test_runs_are_methods_by_seeds():
    plan = plan_of(seeds=[0, 7])
    assert plan.runs[:4] == ["GA/seed0", "GA/seed7", "NPO/seed0", "NPO/seed7"]
    assert plan.who[:3] == ["full", "retain", "GA/seed0"]


def test_what_a_run_reads_of_the_token_table(plan):
    tables = {name: plan.run_inputs("nano", "forget10", name)["tables"] for name in plan.methods}
    assert tables["GA"] == ["results/tiny/tokens/nano/forget10.parquet"]
    assert tables["NPO"] == ["results/tiny/score/nano/forget10.parquet"]
    assert tables["SCN"] == ["results/tiny/parse/nano/forget10.parquet"]
    assert tables["Oracle"] == ["results/tiny/annotate/nano/forget10.parquet"]
    assert tables["ETW"] == tables["GA"]  # its entropies come from the training forward


def test_what_is_kept_of_the_starting_model(plan):
    inputs = {name: plan.run_inputs("nano", "forget10", name) for name in plan.methods}
    kept = "results/tiny/reference/nano/forget10"
    assert inputs["ETW"]["kept_retain"] == f"{kept}/retain.safetensors"
    assert inputs["RMU"]["kept_retain"] == f"{kept}/retain-layer1.safetensors"
    assert inputs["UNDIAL"]["kept_forget"] == f"{kept}/forget.safetensors"
    assert "refusals" in inputs["IdkDPO"]
    assert not {"kept_retain", "kept_forget", "refusals", "chosen"} & set(inputs["GA"])


def test_a_swept_method_is_what_its_search_says(plan):
    assert plan.swept == ["ETW", "Margin"]
    assert plan.method("ETW") is None
    assert plan.run_inputs("nano", "forget10", "ETW")["chosen"] == "results/tiny/search/nano/forget10/ETW/chosen.json"
    assert plan.search_inputs("nano", "forget10", "ETW")["reference_tokens"] == [
        "results/tiny/measure/nano/full/tokens.parquet",
        "results/tiny/measure/nano/retain90/tokens.parquet",
    ]


def code(files: list[str]) -> set[str]:
    return {file.split("src/lethe/")[1].removesuffix(".py") for file in files}


def test_code_of_a_run_is_that_of_its_own_parts(plan):
    own = code(plan.run_inputs("nano", "forget10", "ETW")["code"])
    assert {"weightings/entropy", "objectives/ascent", "retain/kl", "training/loop", "models/device"} <= own
    assert not {"weightings/uniform", "objectives/npo", "retain/nll"} & own


def test_code_of_base_holds_the_seeding(plan):
    """Once it was listed by hand, and an edit of the seeding left the base model stale."""
    assert {"models/device", "models/lora", "training/loop", "training/finetune"} <= code(plan.code("base"))


def test_code_of_a_figure_is_its_own(plan):
    every = {exhibit.name: code(drawn.code(plan, exhibit)) for exhibit in drawn.exhibits(plan)}
    for name in ("etw_fig3", "tradeoff", "heatmap"):
        assert [other for other, files in every.items() if f"figures/{name}" in files and other != name] in (
            [],
            ["etw_fig7"],
        )


def test_kept_models_are_measured_again_and_not_trained_again(tmp_path, monkeypatch, plan):
    monkeypatch.chdir(tmp_path)
    run = Path("results/tiny/unlearn/nano/forget10/GA/seed0")
    assert plan.measured("nano", "forget10", "GA/seed0") == f"{run}/tokens.parquet"  # nothing there yet
    (run / "model").mkdir(parents=True)
    write_table(run / "tokens.parquet", pd.DataFrame({"x": [1]}), {"measurement": measurement(plan.study)})
    assert plan.measured("nano", "forget10", "GA/seed0") == f"{run}/tokens.parquet"
    longer = plan_of(measure={**TINY["measure"], "max_new_tokens": 5})
    again = "results/tiny/measure/nano/forget10/GA/seed0"
    assert longer.measured("nano", "forget10", "GA/seed0") == f"{again}/tokens.parquet"
    assert longer.measured("nano", "forget10", "GA/seed0", "generations") == f"{again}/generations.parquet"
    assert longer.run_measurement() is plan.run_measurement() is None
    # Without kept models, a run's own parameters change, and it is trained again.
    loose = plan_of(measure={**TINY["measure"], "max_new_tokens": 5}, keep_models=False)
    assert loose.measured("nano", "forget10", "GA/seed0") == f"{run}/tokens.parquet"
    assert loose.run_measurement() != plan_of(keep_models=False).run_measurement()


def test_code_that_only_measures_is_no_code_of_a_kept_run(plan):
    kept, loose = (code(p.run_inputs("nano", "forget10", "GA")["code"]) for p in (plan, plan_of(keep_models=False)))
    assert kept < loose
    assert {"training/loop", "training/unlearn", "models/sources", "weightings/uniform"} <= kept
    assert "evaluation/measure" in loose - kept


def test_every_exhibit_reads_and_is_told_what_is_known():
    for exhibit in EXHIBITS.values():
        assert set(exhibit.reads) <= set(SOURCES), exhibit.name
        assert set(exhibit.settings) <= set(SETTINGS), exhibit.name
        assert len({name for name, *_ in exhibit.files()}) == len(exhibit.files())


def test_a_study_has_the_figures_that_it_can_fill(plan):
    names = {exhibit.name for exhibit in drawn.exhibits(plan)}
    assert names == set(EXHIBITS)
    bare = plan_of(compare=None, methods={"GA": TINY["methods"]["GA"]}, measure={})
    missing = {"significance", "searches", "etw_fig8", "etw_forms", "trajectories"}
    assert {exhibit.name for exhibit in drawn.exhibits(bare)} == set(EXHIBITS) - missing


def test_inputs_of_an_exhibit_follow_its_places():
    plan = plan_of(splits=["forget05", "forget10"])
    fig2 = EXHIBITS["etw_fig2"]
    inputs = drawn.inputs(plan, fig2, {"split": "forget05"})
    assert inputs["tokens"] == ["results/tiny/weigh/nano/forget05.parquet"]
    assert inputs["correlation"] == ["results/tiny/correlation/forget05.csv"]
    main = drawn.inputs(plan, EXHIBITS["main"], {})
    assert main["runs"] == [f"results/tiny/evaluate/nano/{split}/runs.parquet" for split in ("forget05", "forget10")]
    assert len(main["chosen"]) == 4


def test_targets_are_one_file_of_each_job(plan):
    assert len(drawn.targets(plan)) == len(set(drawn.targets(plan))) == len(EXHIBITS)
    assert "results/tiny/main/main.html" in drawn.targets(plan)
    assert "results/tiny/significance/seeds.html" in drawn.targets(plan)
    assert "results/tiny/etw_fig7/nano/forget10.probabilities.svg" in drawn.targets(plan)
    assert "results/tiny/etw_fig8/ETW.svg" in drawn.targets(plan)
