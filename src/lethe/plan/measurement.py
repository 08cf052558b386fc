"""When a measurement is out of date: the hash of all that decides what is measured on a model."""

import hashlib
import json

from lethe.config import Study
from lethe.plan.closure import closure, module


def measurement(study: Study) -> str:
    """Hash of all that decides what is measured on a model; stored with the tables that are measured."""
    config = study.model_dump(mode="json")
    settings = [config["measure"], config["prompt"], config["splits"]]
    contents = [path.read_text(encoding="utf-8") for path in closure(module("evaluation.measure", "evaluation.sets"))]
    return hashlib.sha256(json.dumps([settings, contents], sort_keys=True).encode()).hexdigest()
