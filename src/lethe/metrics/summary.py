"""Per-sample values of a model, its retain and its full counterpart to the numbers of a table.

Runs on the stored per-sample tables alone, so a summary can be made again without model or data.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from lethe.metrics import Metric, Value

NO_RETAIN = "the benchmark has no retain model to compare with"


class Case:
    """A model to be judged: what metrics are functions of.

    `case["model_utility"]` is another metric of the same model, computed once.

    Attributes:
        samples: the model's per-sample table (`Benchmark.samples`).
        full: the model before unlearning, as a case.
        retain: the model trained on the retain data only, as a case; None where the benchmark has none.
    """

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        samples: pd.DataFrame,
        full: "Case | None" = None,
        retain: "Case | None" = None,
    ):
        self._metrics, self._values = metrics, {}
        self.samples, self.full, self.retain = samples, full or self, retain

    def __getitem__(self, name: str) -> Value:
        if name not in self._values:
            self._values[name] = self._metrics[name].of(self)
        return self._values[name]

    def column(self, set: str, column: str) -> np.ndarray:
        """[S] values of a column over the probes of a set; empty if the set was not measured."""
        return self.samples.loc[self.samples["set"] == set, column].to_numpy(np.float64)


def summarise(metrics: Mapping[str, Metric], tables: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, Value]]:
    """All metrics of each model, in their order.

    Samples whose value is undefined are left out of a metric and counted in `Value.counts`; a metric without any sample
    is undefined.

    Args:
        metrics: of the benchmark.
        tables: model -> per-sample table; "full" is among them, and "retain" where the benchmark has retain models.
    """
    full = Case(metrics, tables["full"])
    retain = Case(metrics, tables["retain"], full) if "retain" in tables else None
    cases = {who: Case(metrics, table, full, retain) for who, table in tables.items()}
    return {who: {name: case[name] for name in metrics} for who, case in cases.items()}


def mean_of(set: str, column: str, needs: str) -> Callable[[Case], Value]:
    """A metric: the mean of a column over a set; undefined, with the reason, if there is nothing to average.

    Args:
        set: of probes.
        column: of the per-sample table.
        needs: what a value of it needs, for the reason.
    """

    def mean(case: Case) -> Value:
        values = case.column(set, column)
        if not len(values):
            return Value(None, f"the set '{set}' was not measured")
        defined = values[np.isfinite(values)]
        counts = {"samples": len(defined), "dropped": len(values) - len(defined)}
        if not len(defined):
            return Value(None, f"no sample of the set '{set}' has a {column}: {needs}", counts)
        return Value(float(defined.mean()), counts=counts)

    return mean


def against_retain(of: Callable[[Case, Case], Value]) -> Callable[[Case], Value]:
    """A metric of the model and of the retain model; undefined where there is none."""
    return lambda case: Value(None, NO_RETAIN) if case.retain is None else of(case, case.retain)


def to_json(metrics: Mapping[str, Metric], summary: Mapping[str, Value]) -> dict[str, dict]:
    """name -> {value, unit, better, reason, counts}, ready for `lethe.io.write_json`."""
    return {
        name: {
            "value": value.value,
            "unit": metrics[name].unit,
            "better": metrics[name].better,
            "reason": value.reason,
            "counts": value.counts,
        }
        for name, value in summary.items()
    }
