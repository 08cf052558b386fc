"""ETW Fig. 4: which words of an answer each method gives weight to, as coloured text; on paper and as a web page.

arXiv 2604.17785; docs/choices.md#figures-of-etw. Weights of different methods are on different scales, so a row's
colours are relative to the largest weight that the method gives within the sequence.
"""

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from lethe.benchmarks.prepared import read_data
from lethe.errors import InputError
from lethe.figures import style
from lethe.figures.token_text import SHADES, Block, Colours, annotation, page, shades, shown
from lethe.io import read_table, require
from lethe.target import Target
from lethe.tokens.shown_samples import check_wanted, chosen_samples


def make(source, settings, target: Target) -> None:
    """From a token table and the data, chosen answers as a figure and as a page."""
    table, data = read_table(source.tokens[0]), read_data(source.data[0])
    check_wanted(settings.shown_samples, data)
    samples = chosen_samples(table, settings.shown_samples, {row.id: row.group for row in data.rows})
    questions = {row.id: row.prompt or "" for row in data.rows}
    style.save(draw(table, samples, settings.methods, settings.label, questions), target.stem())
    target.page(html(table, samples, settings.methods, settings.label, questions))


@style.styled
def draw(
    table: pd.DataFrame,
    samples: Sequence[str],
    methods: Sequence[str],
    label: str,
    questions: Mapping[str, str] | None = None,
) -> Figure:
    """Text heat-map: per sample a row with the annotation, then one row per method; long answers wrap.

    Args:
        table: token table of one model.
        samples: sample ids, drawn in this order.
        methods: columns `weight_<method>`.
        label: label source of the first row; grey where the source says nothing about the sample.
        questions: sample -> question, printed above the answer.

    Raises:
        InputError: if a column or a sample is missing.
    """
    _check(table, samples, methods, label)
    blocks = []
    for sample in samples:
        tokens = _sample(table, sample)
        blocks.append(Block(sample, (questions or {}).get(sample, ""), tokens, _rows(tokens, methods, label)))
    return page(blocks, label)


def html(
    table: pd.DataFrame,
    samples: Sequence[str],
    methods: Sequence[str],
    label: str,
    questions: Mapping[str, str],
) -> str:
    """The same as one web page without outside resources; hovering over a token shows its numbers.

    Arguments as in `draw`; `questions` may lack samples. All text is escaped.
    """
    _check(table, samples, methods, label)
    body = []
    for sample in samples:
        tokens = _sample(table, sample)
        rows = _rows(tokens, methods, label)
        body.append(f"<h2>{escape(sample)}</h2>")
        if sample in questions:
            body.append(f"<p>{escape(questions[sample])}</p>")
        body.append("<table>")
        for name, colours in rows:
            spans = [
                f'<span style="background:{face};color:{ink}" title="{escape(_hover(token, methods))}">'
                f"{escape(shown(token, spaces=True))}</span>"
                for (_, token), (face, ink) in zip(tokens.iterrows(), colours, strict=True)
            ]
            body.append(f'<tr><th scope="row">{escape(name)}</th><td>{"".join(spans)}</td></tr>')
        body.append("</table>")
    return PAGE.format(
        low=to_hex(SHADES(0.0)),
        high=to_hex(SHADES(1.0)),
        gold=style.INFORMATIVE,
        label=escape(label),
        body="\n".join(body),
    )


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Token weights</title>
<style>
body {{ font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; }}
body {{ color: #000; background: #fff; }}
h2 {{ font-size: 1em; margin: 2em 0 0; }}
p {{ margin: .3em 0; }}
table {{ border-collapse: collapse; }}
th {{ text-align: right; font-weight: normal; padding: .15em .8em .15em 0; }}
th {{ vertical-align: top; white-space: nowrap; }}
td {{ padding: .15em 0; }}
td span {{ white-space: pre-wrap; border-radius: 2px; }}
i {{ display: inline-block; width: 8em; height: .8em; background: linear-gradient(90deg, {low}, {high}); }}
b {{ display: inline-block; width: .8em; height: .8em; background: {gold}; }}
</style>
</head>
<body>
<h1>Token weights</h1>
<p>Weight relative to the largest of the row: 0 <i></i> 1.
First row: <b></b> informative by labels “{label}”, grey: no label. Hover over a token for its numbers.</p>
{body}
</body>
</html>
"""


def _check(table: pd.DataFrame, samples: Sequence[str], methods: Sequence[str], label: str) -> None:
    columns = ["sample", "position", "text", "eos", "logprob", f"informative_{label}"]
    require(table, [*columns, *(f"weight_{method}" for method in methods)], "token table")
    missing = [sample for sample in samples if sample not in set(table["sample"])]
    if missing:
        raise InputError(
            f"token table: no sample {missing}; choose ids of the forget split, e.g. {table['sample'].iloc[0]}."
        )


def _sample(table: pd.DataFrame, sample: str) -> pd.DataFrame:
    return table[table["sample"] == sample].sort_values("position")


def _rows(tokens: pd.DataFrame, methods: Sequence[str], label: str) -> list[tuple[str, Colours]]:
    return [(label, annotation(tokens, label)), *((m, shades(tokens[f"weight_{m}"])) for m in methods)]


def _hover(token: pd.Series, methods: Sequence[str]) -> str:
    parts = [f"weight {method}: {token[f'weight_{method}']:.4g}" for method in methods]
    parts.append(f"log-probability: {token['logprob']:.4g} nats")
    parts += [
        f"entropy at T = {name.removeprefix('entropy_T')}: {token[name]:.4g} nats"
        for name in token.index
        if name.startswith("entropy_T")
    ]
    return "\n".join(parts)
