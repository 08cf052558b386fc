"""ETW Fig. 4: which words of an answer each method presses on, as coloured text; on paper and as a web page.

arXiv 2604.17785, §5 of our specification. Weights of different methods are on different scales, so a row's
colours are relative to the largest weight that the method gives within the sequence.
"""

from collections.abc import Mapping, Sequence
from html import escape

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path

from lethe.errors import InputError
from lethe.figures import style
from lethe.tables import require

# The dark end is cut off: black text must stay readable on every shade.
SHADES = ListedColormap(mpl.colormaps["Oranges"](np.linspace(0.0, 0.7, 256)), name="weights")
UNKNOWN = "#E0E0E0"
ROW, GAP, PAD = 11.0, 7.0, 1.2  # points: height of a row, space between blocks, margin inside a token's box


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
    gutter = max(_width(name) for name in [label, *methods]) + 6
    width = style.WIDTH * 72
    blocks = [_block(_sample(table, s), s, (questions or {}).get(s), width, gutter) for s in samples]
    rows = len(methods) + 1
    height = 34 + sum(ROW * len(header) + 3 + len(lines) * (rows * ROW + GAP) + GAP for _, header, lines in blocks)
    figure = Figure(figsize=(style.WIDTH, height / 72))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    y = 4.0
    for tokens, header, lines in blocks:
        for text in header:
            _text(axes, 2, y + ROW / 2, text, weight="bold" if text is header[0] else "normal")
            y += ROW
        y += 3
        rows_of_colour = [(label, _annotation(tokens, label))]
        rows_of_colour += [(method, _shades(tokens, method)) for method in methods]
        for line in lines:
            for name, colours in rows_of_colour:
                _text(
                    axes,
                    gutter - 4,
                    y + ROW / 2,
                    name,
                    ha="right",
                    style="italic" if name == label else "normal",
                )
                for i, x, w in line:
                    face, ink = colours[i]
                    axes.add_patch(Rectangle((x, y + 0.4), w, ROW - 0.8, facecolor=face, edgecolor="none"))
                    _text(axes, x + w / 2, y + ROW / 2, _shown(tokens.iloc[i]), ha="center", color=ink)
                y += ROW
            y += GAP
        y += GAP
    _key(figure, axes, height, label)
    return figure


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
        rows = [(label, _annotation(tokens, label))] + [(m, _shades(tokens, m)) for m in methods]
        body.append(f"<h2>{escape(sample)}</h2>")
        if sample in questions:
            body.append(f"<p>{escape(questions[sample])}</p>")
        body.append("<table>")
        for name, colours in rows:
            spans = [
                f'<span style="background:{face};color:{ink}" title="{escape(_hover(token, methods))}">'
                f"{escape(_shown(token, spaces=True))}</span>"
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
<p>Weight relative to the largest of the sequence: 0 <i></i> 1.
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


def _shown(token: pd.Series, spaces: bool = False) -> str:
    """A token as it is printed; white space that would vanish gets a sign."""
    if token["eos"]:
        return " EOS" if spaces else "EOS"
    text = token["text"].replace("\n", "↵").replace("\t", " ")
    return text if spaces else text.strip() or "␣"


def _annotation(tokens: pd.DataFrame, label: str) -> list[tuple[str, str]]:
    """(background, ink) of each token by its label."""
    return [
        (UNKNOWN, "#000000") if pd.isna(value) else (style.INFORMATIVE, "#FFFFFF") if value else ("#FFFFFF", "#000000")
        for value in tokens[f"informative_{label}"]
    ]


def _shades(tokens: pd.DataFrame, method: str) -> list[tuple[str, str]]:
    """(background, ink) of each token by its weight over the largest of the sequence."""
    weights = tokens[f"weight_{method}"].to_numpy(float)
    if not np.isfinite(weights).all():
        return [(UNKNOWN, "#000000")] * len(weights)
    return [(to_hex(SHADES(w)), "#000000") for w in weights / (weights.max() or 1.0)]


def _hover(token: pd.Series, methods: Sequence[str]) -> str:
    parts = [f"weight {method}: {token[f'weight_{method}']:.4g}" for method in methods]
    parts.append(f"log-probability: {token['logprob']:.4g} nats")
    parts += [
        f"entropy at T = {name.removeprefix('entropy_T')}: {token[name]:.4g} nats"
        for name in token.index
        if name.startswith("entropy_T")
    ]
    return "\n".join(parts)


def _width(text: str, weight: str = "normal") -> float:
    """Width of a text at the size of the tokens, points."""
    font = FontProperties(family=style.RC["font.family"], size=style.SMALL, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]


def _text(axes: Axes, x: float, y: float, text: str, **look) -> None:
    axes.text(x, y, text, fontsize=style.SMALL, va="center_baseline", parse_math=False, **look)


def _block(
    tokens: pd.DataFrame, sample: str, question: str | None, width: float, gutter: float
) -> tuple[pd.DataFrame, list[str], list[list[tuple[int, float, float]]]]:
    """Layout of a sample: its tokens, header lines, and lines of (token, x, box width), points."""
    header = [sample]
    for word in (question or "").split():
        if len(header) > 1 and _width(f"{header[-1]} {word}") < width - 8:
            header[-1] += f" {word}"
        else:
            header.append(word)
    return tokens, header, _lines(tokens, gutter, width - 4)


def _lines(tokens: pd.DataFrame, left: float, right: float) -> list[list[tuple[int, float, float]]]:
    """Break an answer between words; a word wider than the page is broken between tokens."""
    words: list[list[int]] = []
    for i, (text, eos) in enumerate(zip(tokens["text"], tokens["eos"], strict=True)):
        if not words or eos or text[:1].isspace():
            words.append([])
        words[-1].append(i)
    widths = [_width(_shown(token)) + 2 * PAD for _, token in tokens.iterrows()]
    lines: list[list[tuple[int, float, float]]] = [[]]
    x = left
    for word in words:
        if lines[-1]:
            x += 2.0  # the space between words
            if x + sum(widths[i] for i in word) > right:
                lines.append([])
                x = left
        for i in word:
            if x + widths[i] > right and lines[-1]:
                lines.append([])
                x = left
            lines[-1].append((i, x, widths[i]))
            x += widths[i] + 0.5
    return lines


def _key(figure: Figure, page: Axes, height: float, label: str) -> None:
    x, y = 4.0, height - 26
    for face, text in [(style.INFORMATIVE, f"informative ({label})"), (UNKNOWN, "no label")]:
        page.add_patch(Rectangle((x, y), 9, 9, facecolor=face, edgecolor="none"))
        _text(page, x + 12, y + 4.5, text)
        x += _width(text) + 22
    axes = figure.add_axes((0.62, 18 / height, 0.34, 7 / height))
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=SHADES, aspect="auto", extent=(0, 1, 0, 1))
    axes.set(yticks=[], xticks=[0, 0.5, 1])
    axes.tick_params(length=2, pad=1)
    figure.text(
        0.61,
        21.5 / height,
        "weight / largest weight of the sequence",
        ha="right",
        va="center",
        fontsize=style.SMALL,
    )
