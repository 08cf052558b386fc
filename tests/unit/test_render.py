"""Tables in four formats: raw numbers for machines, formatted ones for readers, everything escaped, gaps said."""

import numpy as np
import pandas as pd
import pytest

from lethe.errors import InputError
from lethe.tables.render import Column, Layout, cell, escape_latex, html, latex, markdown, stacked, write

PROVENANCE = {"config_sha256": "ab12" * 16, "commit": "cafe-dirty", "lethe_version": "0.1.0"}


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": ["a_b", "a_b", "c"],
            "auc": [0.66049, np.nan, -0.5],
            "low": [0.61, np.nan, np.nan],
            "high": [0.7, np.nan, np.nan],
            "mean": [1.0, 2.0, 3.0],
            "sd": [0.1, np.nan, 0.2],
            "used": [True, False, True],
            "remark": pd.array(["<b> | 5 % & *x*", pd.NA, "ω ≥ 0"], dtype="string"),
            "hidden": [1, 2, 3],
        }
    )


@pytest.fixture
def layout() -> Layout:
    columns = {
        "model": Column("model"),
        "auc": Column("AUC ↑", ".3f", interval=("low", "high")),
        "mean": Column("mean", ".1f", spread="sd"),
        "used": Column("used"),
        "remark": Column("remark", missing="", wide=True),
    }
    return Layout("50 % of R&D", columns, ("Note with Σ ω = n.", "Second note."), ("model",))


def test_cells_show_intervals_spreads_ticks_and_gaps(table, layout):
    shown = [[cell(row, name, column) for name, column in layout.columns.items()] for row in table.to_dict("records")]
    assert shown[0] == ["a_b", "0.660 [0.610, 0.700]", "1.0 ± 0.1", "✓", "<b> | 5 % & *x*"]
    assert shown[1] == ["a_b", "undefined", "2.0", "–", ""]
    assert shown[2] == ["c", "−0.500", "3.0 ± 0.2", "✓", "ω ≥ 0"]


def test_a_rounded_zero_has_no_sign_and_integers_take_float_formats():
    row = {"x": -0.0004, "n": 3}
    assert cell(row, "x", Column("x", ".3f")) == "0.000"
    assert cell(row, "n", Column("n", ".0f")) == "3"
    assert cell({"x": 1.2e-5}, "x", Column("p", ".2g")) == "1.2e−05"


def test_values_that_are_missing_from_a_mean_are_counted():
    column = Column("m", ".1f", spread="sd", defined=("n", "runs"))
    row = {"m": 1.25, "sd": 0.5, "n": 3, "runs": 3}
    assert cell(row, "m", column) == "1.2 ± 0.5"
    assert cell(row | {"n": 2}, "m", column) == "1.2 ± 0.5; undefined (1 of 3)"
    assert cell(row | {"m": np.nan, "sd": np.nan, "n": 0}, "m", column) == "undefined (3 of 3)"


def test_bold_is_the_value_and_not_what_follows_it(table):
    layout = Layout("c", {"model": Column("m"), "mean": Column("mean", ".1f", spread="sd", bold="used")})
    assert "| c | **3.0** ± 0.2 |" in markdown(table, layout, PROVENANCE)
    assert r"| a\_b | 2.0 |" in markdown(table, layout, PROVENANCE)
    assert r"c & \textbf{3.0} $\pm$ 0.2 \\" in latex(table, layout, PROVENANCE)
    assert "<b>3.0</b> ± 0.2" in html(table, layout, PROVENANCE)
    assert "<b>2.0" not in html(table, layout, PROVENANCE)


def test_tables_are_stacked_with_their_places_in_front():
    table = pd.DataFrame({"x": [1, 2]}, index=[7, 7])
    one = stacked({"a": table, "b": table.iloc[:1]}, ["model"])
    assert one.to_dict("list") == {"model": ["a", "a", "b"], "x": [1, 2, 1]}
    assert one.index.tolist() == [0, 1, 2]
    two = stacked({("a", "forget10"): table, ("b", "forget05"): table.iloc[:1]}, ["model", "split"])
    assert list(two) == ["model", "split", "x"]
    assert two.to_numpy().tolist() == [["a", "forget10", 1], ["a", "forget10", 2], ["b", "forget05", 1]]
    nothing = stacked({("a", "forget10"): table.iloc[:0]}, ["model", "split"])
    assert list(nothing) == ["model", "split", "x"]
    assert nothing.empty


def test_csv_keeps_raw_numbers_all_columns_and_provenance(table, layout, tmp_path):
    write(table, tmp_path / "a.v1", layout, PROVENANCE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.v1.csv", "a.v1.html", "a.v1.md", "a.v1.tex"]
    back = pd.read_csv(tmp_path / "a.v1.csv")
    assert list(back) == [*table, *PROVENANCE]
    assert back.loc[0, "auc"] == 0.66049
    assert set(back["commit"]) == {"cafe-dirty"}


def test_markdown_has_one_row_each_notes_and_footer(table, layout):
    text = markdown(table, layout, PROVENANCE)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 3
    assert lines[1] == "| --- | ---: | ---: | --- | --- |"
    assert {line.replace(r"\|", "").count("|") for line in lines} == {6}
    assert r"\<b> \| 5 % & \*x\*" in text
    assert r"a\_b" in text
    assert "Note with Σ ω = n." in text
    assert "Second note." in text
    assert all(value in text.splitlines()[-1] for value in PROVENANCE.values())
    assert "hidden" not in text


def test_latex_is_a_booktabs_longtable_in_ascii(table, layout):
    text = latex(table, layout, PROVENANCE)
    assert all(f"% {key}: {value}" in text for key, value in PROVENANCE.items())
    assert r"\begin{longtable}{lrrlp{5cm}}" in text
    assert r"\caption{50 \% of R\&D}" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert text.count(r"\midrule") == 2  # below the heading, and where the model changes
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and "caption" not in line]
    assert {line.replace(r"\&", "").count("&") for line in rows} == {4}
    assert r"$\omega$ $\geq$ 0" in text
    assert text.isascii()


def test_html_escapes_and_marks_blocks(table, layout):
    text = html(table, layout, PROVENANCE)
    assert "&lt;b&gt; | 5 % &amp; *x*" in text
    assert "<b>" not in text
    assert text.count("<tr") == 1 + 3
    assert text.count("class=start") == 1
    assert "Second note." in text
    assert "src=" not in text
    assert "href=" not in text


def test_no_rows_is_said(table, layout, tmp_path):
    write(table.iloc[:0], tmp_path / "empty", layout, PROVENANCE)
    for suffix in ("md", "tex", "html"):
        text = (tmp_path / f"empty.{suffix}").read_text(encoding="utf-8")
        assert "no rows" in text
        assert "Second note." in text
    assert r"\multicolumn{5}{l}" in (tmp_path / "empty.tex").read_text(encoding="utf-8")
    assert list(pd.read_csv(tmp_path / "empty.csv")) == [*table, *PROVENANCE]


def test_a_missing_column_is_named(table, layout, tmp_path):
    with pytest.raises(InputError, match="high"):
        write(table.drop(columns="high"), tmp_path / "x", layout, PROVENANCE)
    columns = {"mean": Column("mean", ".1f", bold="best", defined=("n", "runs"))}
    with pytest.raises(InputError, match=r"\['n', 'runs', 'best'\]"):
        write(table, tmp_path / "x", Layout("c", columns), PROVENANCE)
    assert not list(tmp_path.iterdir())


def test_latex_escapes_in_one_pass():
    assert escape_latex(r"a\b_{c}~d^e|f%") == (
        r"a\textbackslash{}b\_\{c\}\textasciitilde{}d\textasciicircum{}e\textbar{}f\%"
    )


def test_latex_escapes_formulas_and_leaves_unknown_signs():
    assert escape_latex("ω = p^β₁ · x_2 ✓ –") == (r"$\omega$ = p\textasciicircum{}$\beta$$_1$ $\cdot$ x\_2 yes --")
    assert escape_latex("−log₁₀ FQ ↓ Δ") == r"$-$log$_{10}$ FQ $\downarrow$ $\Delta$"
    assert escape_latex("漢") == "漢"
