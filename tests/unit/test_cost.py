"""Cost per step: medians without the warm-up, relative to a baseline, by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lethe.provenance import STAMP
from lethe.tables.cost import cost_table, layout, make
from lethe.target import Target


def log(method: str, seed: int, seconds: list[float], peak: list[float], model: str = "m") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": model,
            "split": "forget10",
            "method": method,
            "seed": seed,
            "step": range(len(seconds)),
            "seconds": seconds,
            "peak_mib": peak,
        }
    )


@pytest.fixture
def logs() -> pd.DataFrame:
    parts = [
        log("GA", 0, [9.0, 8.0, 1.0, 2.0, 6.0], [10, 20, 30, 40, 50]),
        log("GA", 1, [9.0, 9.0, 4.0, 4.0, 4.0], [10, 20, 30, 40, 30]),
        log("ETW", 0, [9.0, 9.0, 6.0, 6.0, 6.0], [90, 90, 90, 90, 90]),
    ]
    return pd.concat(parts)


def row(table: pd.DataFrame, method: str, model: str = "m") -> pd.Series:
    return table[(table["method"] == method) & (table["model"] == model)].iloc[0]


def test_by_hand(logs):
    table = cost_table(logs.sample(frac=1, random_state=0), "GA")  # steps may come in any order
    ga, etw = row(table, "GA"), row(table, "ETW")
    assert ga["seconds_per_step"] == 3.0  # medians 2 and 4; the first two steps are left out
    assert ga["seconds_per_step_sd"] == pytest.approx(2**0.5)
    assert (ga["peak_mib"], ga["total_seconds"], ga["steps"], ga["runs"], ga["timed"]) == (45.0, 28.0, 5, 2, 2)
    assert ga["steady_seconds"] == (5 * 2 + 5 * 4) / 2
    assert ga["steady_seconds_sd"] == pytest.approx(10 / 2**0.5)
    assert (ga["relative_seconds"], ga["relative_peak"]) == (1.0, 1.0)
    assert (etw["relative_seconds"], etw["relative_peak"]) == (2.0, 2.0)
    assert np.isnan(etw["seconds_per_step_sd"])
    assert set(layout("GA").columns) <= set(table)


def test_a_pause_of_the_machine_is_in_the_sum_and_not_in_what_is_shown(logs):
    paused = logs.copy()
    paused.loc[(paused["method"] == "ETW") & (paused["step"] == 3), "seconds"] = 3600.0
    before, after = (row(cost_table(table, "GA"), "ETW") for table in (logs, paused))
    assert after["steady_seconds"] == before["steady_seconds"] == 30.0
    assert after["total_seconds"] == before["total_seconds"] + 3594.0
    assert "steady_seconds" in layout("GA").columns
    assert "total_seconds" not in layout("GA").columns
    assert "total_seconds" in " ".join(layout("GA").notes)


def test_the_baseline_is_that_of_the_same_model(logs):
    other = pd.concat([log("ETW", 0, [1.0] * 5, [1.0] * 5, "n"), log("GA", 0, [4.0] * 5, [2.0] * 5, "n")])
    table = cost_table(pd.concat([logs, other]), "GA")
    assert list(zip(table["model"], table["method"], strict=True)) == [
        ("m", "GA"),
        ("m", "ETW"),
        ("n", "ETW"),
        ("n", "GA"),
    ]
    assert row(table, "ETW", "n")[["relative_seconds", "relative_peak"]].tolist() == [0.25, 0.5]
    assert row(table, "ETW")["relative_seconds"] == 2.0


def test_runs_of_two_steps_have_no_time_per_step_and_are_counted():
    table = cost_table(pd.concat([log("GA", 0, [1.0, 1.0], [5.0, 6.0]), log("GA", 1, [1.0] * 3, [7.0] * 3)]), "GA")
    assert table.loc[0, ["runs", "timed", "seconds_per_step", "peak_mib"]].tolist() == [2, 1, 1.0, 6.5]
    short = cost_table(log("GA", 0, [1.0, 1.0], [5.0, 6.0]), "GA").iloc[0]
    assert np.isnan(short["seconds_per_step"])
    assert np.isnan(short["steady_seconds"])
    assert np.isnan(short["relative_seconds"])
    assert short["relative_peak"] == 1.0


def test_a_missing_baseline_leaves_ratios_undefined(logs):
    assert cost_table(logs, "NPO")[["relative_seconds", "relative_peak"]].isna().all(axis=None)


def test_logs_belong_to_the_places_in_their_order(tmp_path):
    paths = []
    for number, place in enumerate(("one/forget01", "one/forget10", "two/forget01")):
        for run in ("GA/seed0", "ETW/seed0"):
            path = tmp_path / place / run / "log.parquet"
            path.parent.mkdir(parents=True)
            pd.DataFrame({"step": range(4), "seconds": float(number), "peak_mib": 1.0}).to_parquet(path)
            paths.append(path)
    places = [("one", "forget01"), ("one", "forget10"), ("two", "forget01")]
    settings = SimpleNamespace(places=places, runs_per_place=2, baseline="GA")
    make(SimpleNamespace(logs=paths), settings, Target({"": tmp_path / "cost"}, dict.fromkeys(STAMP, "x")))
    written = pd.read_csv(tmp_path / "cost.csv").set_index(["model", "split", "method"])
    assert [written.loc[(*place, "ETW"), "seconds_per_step"] for place in places] == [0, 1, 2]
