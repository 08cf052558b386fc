"""Any table as CSV for machines, Markdown for readers, LaTeX for papers and HTML for the report.

The tables that the ETW paper (arXiv 2604.17785) shows and that its reviewers ask for
(docs/choices.md#what-reviewers-asked-for) differ in what they say, not in how they are set.
"""

import html as html_escape
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lethe.io import require, write_text
from lethe.provenance import STAMP, stamped_csv

EMPTY = "no rows"

GREEK = {
    **{"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "Δ": "Delta", "κ": "kappa", "λ": "lambda"},
    **{"ρ": "rho", "σ": "sigma", "Σ": "Sigma", "τ": "tau", "ω": "omega"},
}
LATEX = {
    **{sign: "\\" + sign for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: rf"$\{name}$" for sign, name in GREEK.items()},
    "₁₀": "$_{10}$",
    **{sign: f"$_{digit}$" for digit, sign in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    "−": "$-$",
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "→": r"$\to$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "‖": r"$\|$",
    "⌈": r"$\lceil$",
    "⌉": r"$\rceil$",
    "²": "$^2$",
    "ʷ": "$^w$",
    "ˡ": "$^l$",
    "✓": "yes",
    "–": "--",
    "’": "'",
    "…": r"\ldots{}",
}
"""Special characters of LaTeX, and the signs of formulas and headings; longer ones first."""


@dataclass(frozen=True)
class Column:
    """How a column is shown.

    Attributes:
        heading: text above it.
        form: number format, e.g. ".3f"; None = text (booleans become ✓ and –).
        interval: columns of the lower and upper bound, shown behind the value in the same format.
        spread: column of a standard deviation, shown behind ±.
        defined: columns of how many values there are behind a mean, and of how many there could be; others are counted.
        bold: column of booleans, whether the value (not what follows it) is bold.
        missing: text in place of a missing value.
        wide: long text that may be broken into lines.
    """

    heading: str
    form: str | None = None
    interval: tuple[str, str] | None = None
    spread: str | None = None
    defined: tuple[str, str] | None = None
    bold: str | None = None
    missing: str = "undefined"
    wide: bool = False


@dataclass(frozen=True)
class Layout:
    """What a table shows besides its numbers.

    Attributes:
        caption: what it is.
        columns: column of the table -> how it is shown, in the order shown; others are in the CSV only.
        notes: sentences below the table.
        blocks: columns whose change of value starts a new block of rows.
    """

    caption: str
    columns: Mapping[str, Column]
    notes: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()


def stacked(tables: Mapping[str | tuple[str, ...], pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    """Tables of several places below each other, with the places in front.

    Args:
        tables: place -> table, all with the same columns; a place is a model, or a tuple such as (model, split).
        names: columns that the place goes into, e.g. ["model", "split"].
    """
    names = list(names)
    return pd.concat(tables, names=names).reset_index(level=names).reset_index(drop=True)


def cell(row: Mapping, name: str, column: Column) -> str:
    """Text of a cell, not escaped: `0.660 [0.612, 0.701]`, `0.50 ± 0.02`, `✓`, or what stands for a missing value.

    With `defined`: `0.50 ± 0.02; undefined (1 of 3)`, `undefined (3 of 3)`.
    """
    return "".join(_parts(row, name, column))


def _parts(row: Mapping, name: str, column: Column) -> tuple[str, str]:
    """The value of a cell, and what follows it."""
    value, rest, lost = row[name], "", ""
    if column.defined is not None:
        count, whole = (int(row[part]) for part in column.defined)
        lost = f" ({whole - count} of {whole})" if count < whole else ""
    if pd.isna(value):
        return column.missing, lost
    if isinstance(value, bool | np.bool_):
        return "✓" if value else "–", ""
    if column.form is None:
        return str(value), ""
    if column.interval is not None:
        low, high = (row[bound] for bound in column.interval)
        rest += f" [{_number(low, column.form)}, {_number(high, column.form)}]" if low == low and high == high else ""
    if column.spread is not None and not pd.isna(row[column.spread]):
        rest += f" ± {_number(row[column.spread], column.form)}"
    return _number(value, column.form), rest + (f"; {column.missing}{lost}" if lost else "")


def _number(value: float, form: str) -> str:
    return f"{float(value):z{form}}".replace("-", "−")  # z: no −0.000


def _rows(table: pd.DataFrame, layout: Layout, escape, bold: str) -> list[list[str]]:
    """[rows][columns] escaped cells; `bold` has one {} for the value."""

    def text(row: Mapping, name: str, column: Column) -> str:
        value, rest = map(escape, _parts(row, name, column))
        return (bold.format(value) if column.bold is not None and row[column.bold] else value) + rest

    rows = table.to_dict("records")
    return [[text(row, name, column) for name, column in layout.columns.items()] for row in rows]


def _starts(table: pd.DataFrame, layout: Layout) -> list[bool]:
    """[rows] whether a row starts a block; the first one does not, the heading stands above it."""
    keys = table[list(layout.blocks)].astype("string").fillna("").agg("\0".join, axis=1) if layout.blocks else None
    if keys is None or table.empty:
        return [False] * len(table)
    return [False, *(keys.to_numpy()[1:] != keys.to_numpy()[:-1]).tolist()]


def escape_latex(text: object) -> str:
    """Text for LaTeX, in one pass; signs that `LATEX` does not know stay as they are."""
    return re.sub("|".join(map(re.escape, LATEX)), lambda match: LATEX[match[0]], str(text))


def escape_markdown(text: object) -> str:
    """Text for a cell of a GitHub-flavoured Markdown table."""
    return re.sub(r"([\\|*_<`])", r"\\\1", str(text)).replace("\n", " ")


def markdown(table: pd.DataFrame, layout: Layout, provenance: Mapping[str, str]) -> str:
    """Caption, GitHub-flavoured table, notes, footer with provenance."""
    columns = layout.columns.values()
    head = [escape_markdown(column.heading) for column in columns]
    rules = ["---" if column.form is None else "---:" for column in columns]
    rows = _rows(table, layout, escape_markdown, "**{}**") or [[f"*{EMPTY}*", *[""] * (len(head) - 1)]]
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, rules, *rows]]
    notes = [line for note in layout.notes for line in (escape_markdown(note), "")]
    footer = " · ".join(f"{key} `{provenance[key]}`" for key in STAMP)
    return "\n".join([escape_markdown(layout.caption), "", *lines, "", *notes, f"<sub>{footer}</sub>", ""])


def latex(table: pd.DataFrame, layout: Layout, provenance: Mapping[str, str]) -> str:
    """A `longtable`, because some tables exceed a page, with the rules of booktabs."""
    columns = layout.columns.values()
    align = "".join("p{5cm}" if c.wide else "l" if c.form is None else "r" for c in columns)
    lines = [f"% {key}: {str(provenance[key]).replace(chr(10), ' ')}" for key in STAMP]
    lines += [
        "% Needs \\usepackage{booktabs,longtable}.",
        rf"\begin{{longtable}}{{{align}}}",
        rf"\caption{{{escape_latex(layout.caption)}}} \\",
        r"\toprule",
        " & ".join(escape_latex(column.heading) for column in columns) + r" \\",
        r"\midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
    ]
    for start, cells in zip(_starts(table, layout), _rows(table, layout, escape_latex, r"\textbf{{{}}}"), strict=True):
        # Braces keep a leading bracket from being read as the argument of \\.
        cells = [f"{{{text}}}" if text.startswith("[") else text for text in cells]
        lines += [r"\midrule"] * start + [" & ".join(cells) + r" \\"]
    if table.empty:
        lines.append(rf"\multicolumn{{{len(align.replace('p{5cm}', 'p'))}}}{{l}}{{{EMPTY}}} \\")
    notes = [rf"\par\noindent{{\footnotesize {escape_latex(note)}\par}}" for note in layout.notes]
    return "\n".join([*lines, r"\end{longtable}", *notes, ""])


def html(table: pd.DataFrame, layout: Layout, provenance: Mapping[str, str]) -> str:
    """A web page without outside resources, for the report."""
    escape, columns = html_escape.escape, layout.columns.values()
    kinds = ["wide" if c.wide else "text" if c.form is None else "number" for c in columns]
    head = "".join(f'<th class="{k}">{escape(c.heading)}</th>' for k, c in zip(kinds, columns, strict=True))
    body = "\n".join(
        f"<tr{' class=start' * start}>"
        + "".join(f'<td class="{kind}">{text}</td>' for kind, text in zip(kinds, cells, strict=True))
        + "</tr>"
        for start, cells in zip(_starts(table, layout), _rows(table, layout, escape, "<b>{}</b>"), strict=True)
    )
    if table.empty:
        body = f'<tr><td class="text" colspan="{len(kinds)}"><em>{EMPTY}</em></td></tr>'
    notes = "\n".join(f"<p>{escape(note)}</p>" for note in layout.notes)
    footer = " · ".join(f"{key} {escape(str(provenance[key]))}" for key in STAMP)
    return f"""<!doctype html>
<meta charset="utf-8"><title>{escape(layout.caption)}</title>
<style>
body {{ font: 14px sans-serif; margin: 1.5em; }}
p {{ max-width: 60em; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: .25em .7em; border-bottom: 1px solid #ddd; white-space: nowrap; vertical-align: top; }}
th {{ position: sticky; top: 0; background: #fff; white-space: normal; vertical-align: bottom; }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
.text, .wide {{ text-align: left; }}
.wide {{ white-space: normal; min-width: 16em; }}
.start td {{ border-top: 2px solid #888; }}
</style>
<p>{escape(layout.caption)}</p>
<table><thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody></table>
{notes}
<p><small>{footer}</small></p>
"""


def write(table: pd.DataFrame, stem: str | Path, layout: Layout, provenance: Mapping[str, str]) -> None:
    """Write `<stem>.csv`, `<stem>.md`, `<stem>.tex` and `<stem>.html`.

    Args:
        table: one row per line; columns that `layout` does not name are in the CSV only.
        stem: path without suffix.
        layout: what is shown, and how.
        provenance: config_sha256, commit and lethe_version; columns of the CSV, footer of the others.

    Raises:
        InputError: if a column of the layout is missing.
    """
    columns = layout.columns.values()
    pairs = [name for column in columns for name in (*(column.interval or ()), *(column.defined or ()))]
    single = [name for column in columns for name in (column.spread, column.bold) if name is not None]
    require(table, [*layout.columns, *pairs, *single, *layout.blocks], layout.caption)
    write_text(f"{stem}.csv", stamped_csv(table, provenance))
    write_text(f"{stem}.md", markdown(table, layout, provenance))
    write_text(f"{stem}.tex", latex(table, layout, provenance))
    write_text(f"{stem}.html", html(table, layout, provenance))
