# Shared by all rules: the validated study and its plan.
from pathlib import Path

from lethe.config import load
from lethe.plan import drawn
from lethe.plan.rules import Plan

STUDY = load(config)
PLAN = Plan(STUDY, Path(str(workflow.current_basedir)).parent / "scripts")
S = STUDY.study


wildcard_constraints:
    **PLAN.wildcards(),


# Unlearned weights are written only if the config wants them kept.
RUN = "results/{study}/unlearn/{model}/{split}/{method}/seed{seed}"
RUN_OUTPUTS = {name: f"{RUN}/{name}.parquet" for name in PLAN.run_tables()}
RUN_OUTPUTS["cost"] = f"{RUN}/cost.json"
if STUDY.keep_models:
    RUN_OUTPUTS["model"] = directory(f"{RUN}/model")
