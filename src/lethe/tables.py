"""The main table: mean and spread over seeds of every metric, for machines (CSV), readers (Markdown) and
papers (LaTeX).

ETW (arXiv 2604.17785) shows one run per method; here every cell says how many runs it rests on, and a run
whose metric is undefined is counted, never dropped in silence.
"""

import html as html_escape
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lethe.errors import InputError
from lethe.io import write_text
from lethe.metrics import METRICS

KEYS = ["model", "split", "method"]
REFERENCES = ("full", "retain")
MAIN_METRICS = (
    "neg_log10_fq",
    "delta_mu",
    "aggregate",
    "abs_privleak",
    "model_utility",
    "forget_Q_A_Prob",
    "forget_Q_A_ROUGE",
    "extraction_strength",
)
PROVENANCE = ("config_sha256", "commit", "lethe_version")


# Heading and number format where the metric's name and three decimals will not do; what a metric is, its unit
# and which way is better are declared in `lethe.metrics`.
HEADINGS = {
    "neg_log10_fq": "−log₁₀ FQ",
    "forget_quality": "FQ",
    "delta_mu": "ΔMU (points)",
    "model_utility": "MU",
    "aggregate": "Agg.",
    "abs_privleak": "|Priv.| (%)",
    "privleak": "Priv. (%)",
    "forget_Q_A_Prob": "forget probability",
    "forget_Q_A_ROUGE": "forget ROUGE-L",
    "forget_truth_ratio": "forget truth ratio",
    "extraction_strength": "ES",
    "exact_memorization": "EM",
}
FORMATS = {"forget_quality": ".3g", "delta_mu": ".2f", "abs_privleak": ".2f", "privleak": ".2f"}
ARROW = {"lower": " ↓", "higher": " ↑", "zero": " → 0", "half": " → 0.5", None: ""}


def better(name: str) -> str | None:
    """Which way of a metric is better, by `lethe.metrics`; None for no preference or a name unknown there."""
    return METRICS[name].better if name in METRICS else None


def heading(name: str) -> str:
    """Heading of a metric's column, with an arrow to where it is better."""
    return HEADINGS.get(name, name) + ARROW[better(name)]


def require(table: pd.DataFrame, columns: Iterable[str], what: str) -> None:
    """Raise InputError if the table lacks columns; the message names them and those that are there."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(f"{what}: column {missing} is missing; present are {list(table.columns)}.")


def main_table(runs: pd.DataFrame, metrics: Iterable[str]) -> pd.DataFrame:
    """Mean and spread over seeds, one row per model, split and method, in the order of `runs`.

    Args:
        runs: one row per (model, split, method, seed); reference models have method "full" or "retain" and no
            seed.
        metrics: metric columns; NaN and infinite values are undefined.

    Returns:
        Columns model, split, method, runs (number of rows), and for each metric `<metric>_mean`,
        `<metric>_sd` (sample standard deviation, n − 1; NaN for one run) and `<metric>_n` (runs in which it
        is defined). Means and standard deviations are over the defined runs.

    Raises:
        InputError: for a missing column or a run that occurs twice.
    """
    metrics = list(metrics)
    require(runs, [*KEYS, "seed", *metrics], "runs table")
    double = runs[runs.duplicated([*KEYS, "seed"])]
    if len(double):
        raise InputError(
            f"runs table: {dict(double.iloc[0][[*KEYS, 'seed']])} occurs twice; "
            "a run counts once, remove the other row."
        )
    values = runs[metrics].astype(float).where(lambda frame: np.isfinite(frame))
    groups = pd.concat([runs[KEYS], values], axis=1).groupby(KEYS, sort=False)
    table = groups.size().rename("runs").to_frame()
    for name in metrics:
        table[f"{name}_mean"] = groups[name].mean()
        table[f"{name}_sd"] = groups[name].std(ddof=1)
        table[f"{name}_n"] = groups[name].count()
    return table.reset_index()


def cell(row: Mapping, name: str) -> tuple[str, str]:
    """Text of a cell of `main_table` in two parts, the mean and what follows it.

    `0.492`, ` ± 0.051`; with undefined runs `0.492`, ` ± 0.051; undefined (1 of 3)`; with no defined run
    `undefined (3 of 3)` and nothing.
    """
    runs, defined = int(row["runs"]), int(row[f"{name}_n"])
    undefined = f"undefined ({runs - defined} of {runs})"
    if not defined:
        return undefined, ""
    form = FORMATS.get(name, ".3f")
    mean, sd = (f"{row[f'{name}_{part}']:{form}}".replace("-", "−") for part in ("mean", "sd"))
    return mean, (f" ± {sd}" if defined > 1 else "") + (f"; {undefined}" if defined < runs else "")


def best(table: pd.DataFrame, name: str) -> np.ndarray:
    """[rows] bool: the best methods of each model and split; ties are all best.

    Reference models compete with nobody, nor does a method of which a run is undefined.
    """
    means = table[f"{name}_mean"].where(table[f"{name}_n"] == table["runs"])
    means = means.where(~table["method"].isin(REFERENCES))
    loss = {
        "lower": means,
        "higher": -means,
        "zero": means.abs(),
        "half": (means - 0.5).abs(),
        None: means * np.nan,
    }[better(name)]
    return (loss == loss.groupby([table["model"], table["split"]]).transform("min")).to_numpy()


def _metrics(table: pd.DataFrame) -> list[str]:
    return [column.removesuffix("_mean") for column in table if column.endswith("_mean")]


def _cells(table: pd.DataFrame, escape, bold: str) -> list[list[str]]:
    """[rows][metrics] formatted cells; `bold` has one {} for the mean."""
    winners = {name: best(table, name) for name in _metrics(table)}
    lines = []
    for i, row in enumerate(table.to_dict("records")):
        parts = {name: [escape(part) for part in cell(row, name)] for name in winners}
        lines.append([(bold.format(m) if winners[n][i] else m) + rest for n, (m, rest) in parts.items()])
    return lines


def escape_markdown(text: object) -> str:
    """Text for a cell of a GitHub-flavoured Markdown table."""
    return re.sub(r"([\\|*_<`])", r"\\\1", str(text)).replace("\n", " ")


def markdown(table: pd.DataFrame, caption: str, provenance: Mapping[str, str]) -> str:
    """GitHub-flavoured Markdown: caption, table, footer with provenance; best of each group in bold."""
    names = _metrics(table)
    head = [*KEYS, "n", *(escape_markdown(heading(name)) for name in names)]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * 3 + " ---: |" * (len(head) - 3)]
    for row, cells in zip(table.to_dict("records"), _cells(table, escape_markdown, "**{}**"), strict=True):
        lines.append("| " + " | ".join([*(escape_markdown(row[key]) for key in KEYS), str(row["runs"]), *cells]) + " |")
    note = (
        "Mean ± standard deviation over n runs; ↓ lower, ↑ higher is better, → closer; "
        "bold: best method of a model and split."
    )
    footer = " · ".join(f"{key} `{provenance[key]}`" for key in PROVENANCE)
    return "\n".join([f"{caption}", "", *lines, "", note, "", f"<sub>{footer}</sub>", ""])


LATEX = {
    **{sign: "\\" + sign for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "₁₀": "$_{10}$",
    "−": "$-$",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
    "λ": r"$\lambda$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "→": r"$\to$",
}


def escape_latex(text: object) -> str:
    """Text for LaTeX: its special characters, and the signs that Lethe's headings use, as commands."""
    return re.sub("|".join(map(re.escape, LATEX)), lambda match: LATEX[match[0]], str(text))


def latex(table: pd.DataFrame, caption: str, provenance: Mapping[str, str]) -> str:
    """A `table` environment for the booktabs package, one block of rows per model and split."""
    names = _metrics(table)
    head = [*KEYS, "$n$", *(escape_latex(heading(name)) for name in names)]
    lines = [f"% {key}: {str(provenance[key]).replace(chr(10), ' ')}" for key in PROVENANCE]
    lines += [
        "% Needs \\usepackage{booktabs}. Mean and standard deviation over n runs.",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(caption)}}}",
        rf"\begin{{tabular}}{{lll{'r' * (len(head) - 3)}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
    ]
    group = None
    for row, cells in zip(table.to_dict("records"), _cells(table, escape_latex, r"\textbf{{{}}}"), strict=True):
        if (row["model"], row["split"]) != group:
            lines.append(r"\midrule")
            group = (row["model"], row["split"])
        lines.append(" & ".join([*(escape_latex(row[key]) for key in KEYS), str(row["runs"]), *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def write(table: pd.DataFrame, stem: str | Path, caption: str, provenance: Mapping[str, str]) -> None:
    """Write `<stem>.csv`, `<stem>.md` and `<stem>.tex`.

    Args:
        table: result of `main_table`.
        stem: path without suffix.
        caption: what the table shows.
        provenance: config_sha256, commit and lethe_version; columns of the CSV, footer of the others.
    """
    machine = table.assign(**{key: provenance[key] for key in PROVENANCE})
    write_text(f"{stem}.csv", machine.to_csv(index=False))
    write_text(f"{stem}.md", markdown(table, caption, provenance))
    write_text(f"{stem}.tex", latex(table, caption, provenance))


def html(table: pd.DataFrame, caption: str, provenance: Mapping[str, str]) -> str:
    """The table as a web page without outside resources, for the report; best of each group in bold."""
    escape = html_escape.escape
    names = _metrics(table)
    head = [*KEYS, "n", *map(heading, names)]
    rows = [
        [*(escape(str(row[key])) for key in KEYS), str(row["runs"]), *cells]
        for row, cells in zip(table.to_dict("records"), _cells(table, escape, "<b>{}</b>"), strict=True)
    ]
    body = "\n".join("<tr>" + "".join(f"<td>{text}</td>" for text in row) + "</tr>" for row in rows)
    footer = " · ".join(f"{key} {escape(str(provenance[key]))}" for key in PROVENANCE)
    return f"""<!doctype html>
<meta charset="utf-8"><title>{escape(caption)}</title>
<style>
body {{ font: 14px sans-serif; margin: 1.5em; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }}
th:nth-child(-n+3), td:nth-child(-n+3) {{ text-align: left; }}
</style>
<p>{escape(caption)} ↓ lower, ↑ higher is better; bold: best method of a model and split.</p>
<table><tr>{"".join(f"<th>{escape(name)}</th>" for name in head)}</tr>
{body}</table>
<p><small>{footer}</small></p>
"""
