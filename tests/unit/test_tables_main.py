"""The main table: numbers by hand, undefined runs counted, bold where it is earned, text escaped."""

import csv
import io

import numpy as np
import pandas as pd
import pytest

from lethe.benchmarks.tofu import Tofu
from lethe.errors import InputError
from lethe.tables.main import best, layout, main_table, with_best
from lethe.tables.main import text as text_of
from lethe.tables.render import html, latex, markdown, write

PROVENANCE = {"config_sha256": "ab12" * 16, "commit": "cafe-dirty", "lethe_version": "0.1.0"}
METRICS = ["neg_log10_fq", "model_utility", "aggregate"]
DECLARED = Tofu.metrics


class Shown(Tofu):
    """TOFU with another choice of main metrics."""

    def __init__(self, *main):
        self.main = main


def text(row, name):
    return text_of(row, name, DECLARED)


@pytest.fixture
def runs() -> pd.DataFrame:
    nan = np.nan
    rows = [
        ("tiny", "forget10", "full", pd.NA, 9.0, 0.60, nan),
        ("tiny", "forget10", "retain", pd.NA, 0.0, 0.59, nan),
        ("tiny", "forget10", "GA", 0, 2.0, 0.50, nan),
        ("tiny", "forget10", "GA", 1, 4.0, 0.40, nan),
        ("tiny", "forget10", "GA", 2, 3.0, 0.30, nan),
        ("tiny", "forget10", "ETW", 0, 0.5, 0.55, 1.0),
        ("tiny", "forget10", "ETW", 1, 1.5, 0.57, 3.0),
        ("tiny", "forget10", "ETW", 2, 1.0, 0.53, 2.0),
        ("tiny", "forget10", "NPO_x", 0, 0.1, 0.55, np.inf),
        ("tiny", "forget10", "NPO_x", 1, 0.1, nan, 0.5),
        ("tiny", "forget05", "GA", 0, 2.0, 0.50, 8.0),
    ]
    frame = pd.DataFrame(rows, columns=["model", "split", "method", "seed", *METRICS])
    return frame.astype({"seed": "Int64"})


def shown(runs: pd.DataFrame, metrics=METRICS):
    """What is written: the table and its layout."""
    return with_best(main_table(runs, metrics), Shown(*metrics)), layout(Shown(*metrics))


def row(table: pd.DataFrame, method: str, split: str = "forget10") -> pd.Series:
    return table[(table["method"] == method) & (table["split"] == split)].iloc[0]


def test_mean_sample_deviation_and_count_by_hand(runs):
    table = main_table(runs, METRICS)
    ga = row(table, "GA")
    assert (ga["neg_log10_fq_mean"], ga["neg_log10_fq_sd"], ga["neg_log10_fq_n"], ga["runs"]) == (
        3.0,
        1.0,
        3,
        3,
    )
    assert row(table, "ETW")["neg_log10_fq_sd"] == pytest.approx(0.5)
    assert list(table["method"]) == ["full", "retain", "GA", "ETW", "NPO_x", "GA"]
    assert row(table, "full")["runs"] == 1  # the missing seed does not lose the row


def test_undefined_runs_are_counted_and_never_averaged(runs):
    table = main_table(runs, METRICS)
    assert text(row(table, "GA"), "aggregate") == "undefined (3 of 3)"
    assert text(row(table, "NPO_x"), "aggregate") == "0.500; undefined (1 of 2)"  # inf is undefined
    assert text(row(table, "NPO_x"), "model_utility") == "0.550; undefined (1 of 2)"
    assert text(row(table, "ETW"), "aggregate") == "2.000 ± 1.000"
    assert text(row(table, "full"), "neg_log10_fq") == "9.000"


def test_best_is_among_methods_with_all_runs_defined_within_model_and_split(runs):
    table = main_table(runs, METRICS)
    names = table["method"] + " " + table["split"]
    # retain (0.0) competes with nobody; lower is better.
    assert set(names[best(table, "neg_log10_fq", DECLARED)]) == {"NPO_x forget10", "GA forget05"}
    # full (0.60) competes with nobody; NPO_x has an undefined run; higher is better.
    assert set(names[best(table, "model_utility", DECLARED)]) == {"ETW forget10", "GA forget05"}
    assert set(names[best(table, "aggregate", DECLARED)]) == {"ETW forget10", "GA forget05"}


def test_ties_are_all_best_and_metrics_without_preference_have_none(runs):
    runs = runs.assign(neg_log10_fq=1.0, forget_Q_A_PERT_Prob=range(len(runs)))
    table = main_table(runs, ["neg_log10_fq", "forget_Q_A_PERT_Prob"])
    assert best(table, "neg_log10_fq", DECLARED).sum() == 4
    assert not best(table, "forget_Q_A_PERT_Prob", DECLARED).any()


def test_headings_point_to_where_a_metric_is_better():
    assert DECLARED["neg_log10_fq"].title("neg_log10_fq") == "−log₁₀ FQ ↓"
    assert DECLARED["forget_truth_ratio"].title("forget_truth_ratio").endswith("↑")
    assert DECLARED["privleak"].title("privleak") == "Priv. (%) → 0"
    assert DECLARED["mia_loss"].title("mia_loss") == "mia_loss → 0.5"


def test_best_is_closest_where_a_value_is_to_be_reached(runs):
    methods = runs.iloc[2:5].assign(method=["a", "b", "c"], privleak=[-20.0, 5.0, -3.0])
    assert best(main_table(methods, ["privleak"]), "privleak", DECLARED).tolist() == [False, False, True]


def test_a_group_without_defined_cell_has_no_best(runs):
    table, how = shown(runs.assign(aggregate=np.nan), ["aggregate"])
    assert not table["aggregate_best"].any()
    assert "**" not in markdown(table, how, PROVENANCE)
    assert r"\textbf" not in latex(table, how, PROVENANCE)


def test_csv_is_machine_readable_with_provenance(runs, tmp_path):
    table, how = shown(runs)
    write(table, tmp_path / "main.v1", how, PROVENANCE)
    back = pd.read_csv(tmp_path / "main.v1.csv")
    expected = ["model", "split", "method", "runs"]
    expected += [f"{name}_{part}" for name in METRICS for part in ("mean", "sd", "n")]
    expected += [f"{name}_best" for name in METRICS]
    assert list(back) == [*expected, "config_sha256", "commit", "lethe_version"]
    assert back["neg_log10_fq_mean"].tolist() == main_table(runs, METRICS)["neg_log10_fq_mean"].tolist()
    assert set(back["commit"]) == {"cafe-dirty"}
    assert back.loc[2, "aggregate_n"] == 0
    assert np.isnan(back.loc[2, "aggregate_mean"])


def test_markdown_has_arrows_bold_and_footer(runs):
    text = markdown(*shown(runs.assign(abs_privleak=3.14), [*METRICS, "abs_privleak"]), PROVENANCE)
    lines = text.splitlines()
    head, rule, *body = [line for line in lines if line.startswith("|")]
    assert "−log₁₀ FQ ↓" in head
    assert "MU ↑" in head
    assert r"\|Priv.\|" in head
    assert len(body) == 6
    columns = {len(next(csv.reader(io.StringIO(x.replace(r"\|", "!")), delimiter="|"))) for x in (head, rule, *body)}
    assert columns == {4 + 4 + 2}
    assert "**2.000** ± 1.000" in text
    assert "undefined (3 of 3)" in text
    assert "9.000" in text
    assert "**9.000**" not in text
    assert all(value in lines[-1] for value in PROVENANCE.values())
    assert lines[0].startswith("Forgetting, utility and privacy of every method")
    assert "bold: best method of a model and split" in text
    assert "<b>2.000</b> ± 1.000" in html(*shown(runs), PROVENANCE)


def test_latex_is_booktabs_escaped_and_carries_provenance(runs):
    text = latex(*shown(runs), PROVENANCE)
    assert all(f"% {key}: {value}" in text for key, value in PROVENANCE.items())
    assert r"NPO\_x" in text
    assert r"\textbf{2.000} $\pm$ 1.000" in text
    assert r"$-$log$_{10}$ FQ $\downarrow$" in text
    assert text.count(r"\midrule") == 2  # one per model and split
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and "caption" not in line]
    assert {line.replace(r"\&", "").count("&") for line in rows} == {6}
    assert text.isascii()


def test_negative_and_tiny_numbers_are_readable():
    table = main_table(
        pd.DataFrame(
            {
                "model": "m",
                "split": "forget10",
                "method": "GA",
                "seed": [0, 1],
                "privleak": [-48.5, -50.5],
                "forget_quality": [1e-239, 3e-239],
            }
        ),
        ["privleak", "forget_quality"],
    )
    assert text(table.iloc[0], "privleak") == "−49.50 ± 1.41"
    assert text(table.iloc[0], "forget_quality").split()[0] == "2e−239"


def test_the_relative_loss_of_utility_is_in_the_csv_alone():
    assert "delta_mu_relative" in Tofu.also
    assert "delta_mu_relative" not in Tofu.main  # Agg. is made of the absolute one
    assert not {*Tofu.main, *Tofu.also} - set(DECLARED)


def test_the_search_stands_under_the_table():
    assert layout(Tofu(), ("Tuned: ETW.",)).notes[-1] == "Tuned: ETW."


def test_a_run_that_occurs_twice_and_a_missing_column_are_named(runs):
    with pytest.raises(InputError, match=r"ETW.*occurs twice"):
        main_table(pd.concat([runs, runs.iloc[[5]]]), METRICS)
    with pytest.raises(InputError, match="delta_mu"):
        main_table(runs, ["delta_mu"])
