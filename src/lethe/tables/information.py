"""What each method has to know: ground truth, a parser, the model's predictions, another model.

Asked for by ETW's reviewers (docs/choices.md#sources-of-information). Everything is read off the classes that do the
work, so the table cannot say what the code does not.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lethe.config import MethodConfig
from lethe.methods.contract import Objective, RetainTerm, Weighting
from lethe.methods.part import Part, is_written_out
from lethe.tables.render import Column, Layout, write
from lethe.target import Target
from lethe.weightings import Scored

SOURCES = (
    "ground truth",
    "parser",
    "predictive distribution",
    "gold-token confidence",
    "reference model",
    "training signal",
)
PREDICTIVE = {"predictive distribution", "gold-token confidence", "reference model", "training signal"}


def make(source, settings, target: Target) -> None:
    """From the methods as configured, the table of what they look at."""
    methods = {name: MethodConfig(**method) for name, method in settings.configured.items()}
    write(information_table(methods), target.stem(), layout(), target.origin)


def information_table(methods: Mapping[str, MethodConfig]) -> pd.DataFrame:
    """One row per method.

    Columns: method, weighting, objective, retain (names in the config), formula (first line of the weighting's
    docstring), a bool per SOURCES (of the weighting), loss (what objective and retain term look at beside the weights,
    missing if nothing), vocabulary and temperature (of the predictive distribution; missing where none is looked at;
    all values of a sweep), position (which tokens are weighed).
    """
    rows = []
    for name, method in methods.items():
        parts = method.model_dump(mode="json")
        weighting = method.weighting
        variants = [variant.weighting for variant in method.points().values()] or [weighting]
        looks = "predictive distribution" in weighting.information
        rows.append(
            {
                "method": name,
                "weighting": _name(parts["weighting"]),
                **{part: next(iter(parts[part])) for part in ("objective", "retain")},
                "formula": _formula(weighting),
                **{source: source in weighting.information for source in SOURCES},
                "loss": _loss(method.objective, method.retain),
                "vocabulary": _all(map(_vocabulary, variants)) if looks else None,
                "temperature": _all(map(_temperature, variants)) if looks else None,
                "position": "prediction of the token"
                if PREDICTIVE & set(weighting.information)
                else "the token itself",
            }
        )
    return pd.DataFrame(rows)


def _name(weighting: Mapping[str, Any]) -> str:
    """`entropy`, or `entropy, top` of a weighting that is written out."""
    written_out = is_written_out(weighting, Scored)
    return ", ".join(next(iter(part)) for part in weighting.values()) if written_out else next(iter(weighting))


def _formula(weighting: Weighting) -> str:
    """`ω = …`; with what S stands for if score and scale are written out."""
    if isinstance(weighting, Scored):
        return f"{_first_line(weighting.scale)}; {_first_line(weighting.score).replace('ω', 'S')}"
    return _first_line(weighting)


def _first_line(part: Part) -> str:
    return type(part).__doc__.strip().splitlines()[0].removesuffix(".")


def _loss(objective: Objective, retain: RetainTerm) -> str | None:
    """What the loss itself looks at: `objective: reference model; retain term: reference model`."""
    of_objective = [source for source in objective.information if source != "none"]
    if objective.unit == "sequence":
        whole = {"gold-token confidence": "confidence of the whole sequence"}
        of_objective = [whole.get(source, source) for source in of_objective]
    of_retain = ["reference model"] * retain.reference
    parts = [("objective", of_objective), ("retain term", of_retain)]
    return "; ".join(f"{part}: {', '.join(sources)}" for part, sources in parts if sources) or None


def _all(values) -> str:
    return ", ".join(dict.fromkeys(values))


def _vocabulary(weighting: Weighting) -> str:
    """`full`, or `top k` where a form keeps only the k likeliest words."""
    kept = [form.model_dump().get("k") for form in weighting.forms()]
    return _all(f"top {k}" if k else "full" for k in kept) or "full"


def _temperature(weighting: Weighting) -> str:
    """Temperatures of the softmax; 1 where the weighting names none."""
    asked = [*weighting.temperatures(), *(form.temperature for form in weighting.forms())] or [1.0]
    return _all(f"{temperature:g}" for temperature in asked)


def layout() -> Layout:
    """How the table is set."""
    columns = {
        "method": Column("method"),
        "weighting": Column("weighting"),
        "formula": Column("weight", wide=True),
        **{source: Column(source) for source in SOURCES},
        "vocabulary": Column("vocabulary", missing="–"),
        "temperature": Column("T", missing="–"),
        "objective": Column("objective"),
        "retain": Column("retain term"),
        "loss": Column("in the loss", missing="–", wide=True),
        "position": Column("taken from"),
    }
    return Layout(
        "What each method's weights are made of.",
        columns,
        (
            "✓ and – are about the weights ω alone. What the forget objective and the retain term look at on top, "
            "under any ω, stands in the column on the loss: an objective such as npo presses a whole sequence by its "
            "likelihood under the model and under the starting model (reference model). Several values of T or of the "
            "vocabulary: those of the method's sweep.",
            "Every loss-bearing token of an answer has a weight, the end token included: made from the prediction of "
            "the token, given the question and the answer so far, or from the token itself. The temperature enters the "
            "weight only, never the loss.",
        ),
    )
