"""What is reported about a model: values, and what a metric and a benchmark's headline are.

Every metric is a pure function of stored per-token measurements: a definition can be changed, or one added, without
running a model again. A metric that cannot be computed is an undefined `Value` with the reason, never 0 or NaN, so that
tables and figures can show it and count it. The formulas are in the modules of this package; which of them a benchmark
has, of which probes and under which name, is in the benchmark's file.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

    from lethe.metrics.summary import Case

ARROW = {"lower": " ↓", "higher": " ↑", "zero": " → 0", "half": " → 0.5", None: ""}
SIDE = {"lower": " (lower is better)", "higher": " (higher is better)", "zero": "", "half": "", None: ""}


@dataclass(frozen=True)
class Value:
    """A number, or the reason why there is none.

    Attributes:
        value: finite number in the metric's unit; None = undefined.
        reason: why the value is undefined; on a defined value a remark, e.g. which part makes a utility 0.
        counts: samples behind the value, e.g. {"samples": 399, "dropped": 1}; dropped = undefined for this
            metric.
    """

    value: float | None
    reason: str | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("an undefined value needs a reason")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"{self.value} is no value; use None with a reason")


@dataclass(frozen=True)
class Metric:
    """A metric of a benchmark; its name is its key there.

    Attributes:
        unit: e.g. "probability", "p-value", "percentage points".
        better: which way is better; "half" and "zero" name the value to reach, None = no preference.
        description: one line.
        source: where the definition comes from.
        of: the function; see `lethe.metrics.summary.Case` for what it is given.
        heading: of its column; None = its name.
        form: number format in tables.
        words: what axes and sentences call it; None = the heading.
    """

    unit: str
    better: Literal["higher", "lower", "zero", "half"] | None
    description: str
    source: str
    of: "Callable[[Case], Value]"
    heading: str | None = None
    form: str = ".3f"
    words: str | None = None

    def cost(self, values):
        """The values (numbers or an array of them) so turned that lower is better; NaN where there is no preference."""
        turned = {"lower": values, "higher": -values, "zero": abs(values), "half": abs(values - 0.5)}
        return turned.get(self.better, values * math.nan)

    def title(self, name: str) -> str:
        """Heading of its column, with an arrow to where it is better; `name` is its key."""
        return (self.heading or name) + ARROW[self.better]

    def said(self, name: str) -> str:
        """What axes and sentences call it; `name` is its key."""
        return self.words or (self.heading or name).partition(" (")[0]

    def label(self, name: str) -> str:
        """Label of its axis; `name` is its key."""
        words = self.said(name)
        return words[:1].upper() + words[1:] + SIDE[self.better]


@dataclass(frozen=True)
class SampleMetric:
    """A value of single probes by which methods are compared; lower is better.

    Attributes:
        heading: in tables.
        of: from the per-sample rows of one probe set, of all runs (column run = "full", "retain" or
            "<method>/seed<n>"), to their values.
        note: a sentence below the table.
    """

    heading: str
    of: "Callable[[pd.DataFrame], pd.Series]"
    note: str = ""


@dataclass(frozen=True)
class Headline:
    """The metrics that selection rules, the plane of utility and forgetting, check and main table read.

    Attributes:
        forgetting: how far the model is from having forgotten.
        utility: what is left of it.
        loss: utility lost against the full model, percentage points; lower is better.
        score: both in one number; None = there is none.
        known: how well the model knows what is to be forgotten, between 0 and 1: high for the full model, low for a
            retain model.
        apart: p-value between model and retain model; None = there is none.
        knows: value of `known` above which the full model counts as knowing; a retain model must stay below half of it.
        passed: value of `forgetting` beyond which a model counts as having forgotten, with words for it.
        cheap_utility: stands for the utility where nothing was generated; None = nothing does.
        probes: the probe set that is to be forgotten.
    """

    forgetting: str
    utility: str
    loss: str
    score: str | None = None
    known: str | None = None
    knows: float = 0.8
    apart: str | None = None
    passed: tuple[float, str] | None = None
    cheap_utility: str | None = None
    probes: str = "forget"
