"""What is tried: methods, the grids that a search goes through, and the rule that picks from them."""

import itertools
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, WithJsonSchema, model_validator

from lethe.config.errors import explain
from lethe.config.section import NAME, Section
from lethe.methods.contract import Objective, RetainTerm, Weighting
from lethe.methods.part import choice
from lethe.objectives import OBJECTIVES
from lethe.retain import RETAIN_TERMS
from lethe.selection import RULES
from lethe.weightings import WEIGHTINGS, Scored


def _sweep_value(value: Any) -> bool | int | float | str:
    """A value that can stand in the name of a run and of its folder."""
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d*)?[eE][+-]?\d+", value):
        value = float(value)  # YAML 1.1 takes 2e-3, without a point or sign, for text
    if re.fullmatch(NAME, value) if isinstance(value, str) else isinstance(value, int | float) and math.isfinite(value):
        return value
    raise ValueError("a sweep tries numbers, names or booleans; write one method for each value of another kind")


def _each_once(values: list) -> list:
    if len(set(values)) != len(values):
        raise ValueError("names a value twice; a run is made once, remove the other")
    return values


SweepValue = Annotated[
    Any, AfterValidator(_sweep_value), WithJsonSchema({"type": ["number", "string", "boolean"], "pattern": NAME})
]


class Range(Section):
    """Values that a search may try, between two ends; needs `selection.trials`."""

    low: float = Field(description="Lowest value.")
    high: float = Field(description="Highest value, included.")
    log: bool = Field(False, description="Try evenly on the logarithm.")
    step: float | None = Field(None, gt=0, description="Distance of the values tried; null: any value.")

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high:
            raise ValueError("`low` must be below `high`")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("with `log`, `low` must be above 0 and there is no `step`")
        return self

    def values(self) -> list[float]:
        """All values of a range with a step; the ends of another."""
        if self.step is None:
            return [self.low, self.high]
        count = math.floor((self.high - self.low) / self.step + 1e-9)
        return [round(self.low + i * self.step, 12) for i in range(count + 1)]


class MethodConfig(Section):
    """A method: weighting × objective × retain term, and how strongly each side pulls."""

    weighting: choice(WEIGHTINGS, "weighting", Weighting, Scored) = Field(
        description="Which tokens, how much; what has no name: `{score: …, scale: …}`."
    )
    objective: choice(OBJECTIVES, "objective", Objective) = Field(description="The forget loss.")
    retain: choice(RETAIN_TERMS, "retain term", RetainTerm) = Field(description="What keeps the rest.")
    strength: float = Field(1.0, ge=0, description="Factor of the forget loss (λ of ETW, γ of open-unlearning).")
    retain_strength: float = Field(1.0, ge=0, description="Factor of the retain loss (α of open-unlearning).")
    training: dict[str, Any] = Field({}, description="Keys of `unlearn` that this method overrides.")
    sweep: dict[str, Annotated[list[SweepValue], Field(min_length=1), AfterValidator(_each_once)] | Range] = Field(
        {},
        description="Values to try: `weighting.<key>`, `objective.<key>`, `retain.<key>`, `strength`, "
        "`retain_strength` or `training.<key>` -> list, or range {low, high, log, step}; `weighting.form.temperature` "
        "or `weighting.scale.share` go one part deeper. Every combination of lists is tried, or `selection.trials` of "
        "them; `selection` picks one.",
    )

    def kept(self) -> dict[str, str]:
        """What the method needs kept of the starting model beside the token table; often nothing.

        `retain` and `forget`, the fields of `lethe.training.reference.Starting` -> name: that itself for the last
        hidden states on those rows, `retain-layer7` for a layer's.
        """
        kept = {}
        if self.retain.reference:
            layer = self.retain.reads_layer()
            kept["retain"] = "retain" if layer is None else f"retain-layer{layer}"
        if self.objective.teacher:
            kept["forget"] = "forget"
        return kept

    def at(self, values: Mapping[str, Any]) -> "MethodConfig":
        """The method with each key of its sweep set to a value, and no sweep.

        Raises:
            ValueError: naming the key of the sweep that fits nothing, or the value that may not stand there.
        """
        data = self.model_dump(mode="json") | {"sweep": {}}
        for key, value in values.items():
            target, field = _place(data, key)
            target[field] = value
        try:
            return MethodConfig(**data)
        except ValidationError as error:
            raise ValueError(explain(error, MethodConfig, data, f"sweep ({self.point(values)})")) from None

    def point(self, values: Mapping[str, Any]) -> str:
        """Id of a configuration of the sweep, e.g. `temperature=2.0,strength=0.1`."""
        last = [key.rpartition(".")[2] for key in values]
        # `objective.layer` and `retain.layer` are told apart by their whole keys.
        short = [name if last.count(name) == 1 else key for key, name in zip(values, last, strict=True)]
        return ",".join(f"{key}={value}" for key, value in zip(short, values.values(), strict=True))

    def grid(self) -> list[dict[str, Any]]:
        """Every combination of the sweep's values, key -> value; of a range without step, its ends."""
        if not self.sweep:
            return []
        lists = [choice.values() if isinstance(choice, Range) else choice for choice in self.sweep.values()]
        return [dict(zip(self.sweep, values, strict=True)) for values in itertools.product(*lists)]

    def points(self) -> dict[str, "MethodConfig"]:
        """The configurations of `grid` by their ids; empty without sweep. Raises as `at` does."""
        return {self.point(values): self.at(values) for values in self.grid()}


def _place(data: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """Where in a method a key of its sweep is set: `weighting.form.temperature` is T of the weighting's form."""
    try:
        match key.split("."):
            case ["weighting" | "objective" | "retain" as part, *inner, field]:
                target = _parameters(data[part])
                for name in inner:
                    target = _parameters(target[name])
                return target, field
            case ["training", field]:
                return data["training"], field
            case ["strength" | "retain_strength"]:
                return data, key
    except (KeyError, AttributeError):
        pass
    raise ValueError(
        f"sweep.{key}: nothing to set; write weighting.<key>, objective.<key>, retain.<key>, strength, "
        "retain_strength or training.<key>"
    )


def _parameters(part: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Hyper-parameters of a part that is written as {name: hyper-parameters}, or out as {score: …, scale: …}."""
    values = list(part.values())
    return values[0] if len(values) == 1 else part


class SelectionConfig(Section):
    """How a swept method's configuration is chosen; the choice never sees the seeds that are reported."""

    rule: Literal[tuple(RULES)] = Field(
        "lowest_aggregate",
        description="; ".join(f"{name}: {rule.__doc__.splitlines()[0].rstrip('.')}" for name, rule in RULES.items()),
    )
    seed: int = Field(1000, ge=0, description="Seed of the runs that are compared; must not be one of `seeds`.")
    trials: int | None = Field(
        None,
        ge=1,
        description="null: every combination of a sweep's lists; a number: so many trials of each swept method, chosen "
        "by Optuna's TPE from what the trials before gave.",
    )
    suite: Literal["full", "cheap"] = Field(
        "full",
        description="What a trial is judged by: full = as reported runs are; cheap = teacher-forced metrics only, with "
        "their utility in place of the model utility.",
    )
