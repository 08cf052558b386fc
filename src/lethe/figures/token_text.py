"""Answers as rows of coloured tokens, for the figures that show which words a method weighs.

Text is laid out by hand, in points, because matplotlib does not break lines: a row is drawn once per name (an
annotation, a method, an epoch), and all rows of an answer break at the same words. Shades are relative to the
largest weight of the row, because weights of different methods are on different scales.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path

from lethe.figures import style

# The dark end is cut off: black text must stay readable on every shade.
SHADES = ListedColormap(mpl.colormaps["Oranges"](np.linspace(0.0, 0.7, 256)), name="weights")
UNKNOWN = "#E0E0E0"
ROW, GAP, PAD = 11.0, 7.0, 1.2  # points: height of a row, space between blocks, margin inside a token's box
KEY = 48.0  # points: two lines at the bottom of the page

Colours = list[tuple[str, str]]
"""(background, ink) of each token."""


@dataclass
class Block:
    """An answer and the rows it is drawn in.

    Attributes:
        title: first line above it, bold.
        text: what follows under the title, e.g. the question; wraps.
        tokens: rows of the token table, with text and eos, by position.
        rows: name at the left of a row and the colours of its tokens.
    """

    title: str
    text: str
    tokens: pd.DataFrame
    rows: list[tuple[str, Colours]]


def page(blocks: Sequence[Block], label: str) -> Figure:
    """One block under the other on a page of the text's width, as high as needed, with a key at the bottom.

    Args:
        blocks: drawn in this order.
        label: label source; the row of this name is set in italics.
    """
    gutter = max(text_width(name) for block in blocks for name, _ in block.rows) + 10
    width = style.WIDTH * 72
    headers = [_header(block, width - 8) for block in blocks]
    broken = [lines(block.tokens, gutter, width - 4) for block in blocks]
    height = KEY
    for block, header, parts in zip(blocks, headers, broken, strict=True):
        height += ROW * len(header) + 3 + len(parts) * (len(block.rows) * ROW + GAP) + GAP
    figure = Figure(figsize=(style.WIDTH, height / 72))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    y = 4.0
    for block, header, parts in zip(blocks, headers, broken, strict=True):
        for line in header:
            put_text(axes, 2, y + ROW / 2, line, weight="bold" if line is header[0] else "normal")
            y += ROW
        y += 3
        for part in parts:
            for name, colours in block.rows:
                slant = "italic" if name == label else "normal"
                put_text(axes, gutter - 4, y + ROW / 2, name, ha="right", style=slant)
                for i, x, w in part:
                    face, ink = colours[i]
                    axes.add_patch(Rectangle((x, y + 0.4), w, ROW - 0.8, facecolor=face, edgecolor="none"))
                    put_text(axes, x + w / 2, y + ROW / 2, shown(block.tokens.iloc[i]), ha="center", color=ink)
                y += ROW
            y += GAP
        y += GAP
    _key(figure, axes, height, label)
    return figure


def shown(token: pd.Series, spaces: bool = False) -> str:
    """A token as it is printed; white space that would vanish gets a sign."""
    if token["eos"]:
        return " EOS" if spaces else "EOS"
    text = token["text"].replace("\n", "↵").replace("\t", " ")
    return text if spaces else text.strip() or "␣"


def annotation(tokens: pd.DataFrame, label: str) -> Colours:
    """Colours of the tokens by their label; grey where the source says nothing."""
    return [
        (UNKNOWN, "#000000") if pd.isna(value) else (style.INFORMATIVE, "#FFFFFF") if value else ("#FFFFFF", "#000000")
        for value in tokens[f"informative_{label}"]
    ]


def shades(weights: pd.Series) -> Colours:
    """Colours of the tokens of a row by their weights over the largest of them; grey if one is undefined."""
    values = weights.to_numpy(float)
    if not np.isfinite(values).all():
        return [(UNKNOWN, "#000000")] * len(values)
    return [(to_hex(SHADES(w)), "#000000") for w in values / (values.max() or 1.0)]


def text_width(text: str, weight: str = "normal") -> float:
    """Width of a text at the size of the tokens, points."""
    font = FontProperties(family=style.RC["font.family"], size=style.SMALL, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]


def lines(tokens: pd.DataFrame, left: float, right: float) -> list[list[tuple[int, float, float]]]:
    """Lines of (token, x, box width), points; broken between words, within one only if it is wider than the page."""
    words: list[list[int]] = []
    for i, (text, eos) in enumerate(zip(tokens["text"], tokens["eos"], strict=True)):
        if not words or eos or text[:1].isspace():
            words.append([])
        words[-1].append(i)
    widths = [text_width(shown(token)) + 2 * PAD for _, token in tokens.iterrows()]
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


def _header(block: Block, width: float) -> list[str]:
    header = [block.title]
    for word in block.text.split():
        if len(header) > 1 and text_width(f"{header[-1]} {word}") < width:
            header[-1] += f" {word}"
        else:
            header.append(word)
    return header


def put_text(axes: Axes, x: float, y: float, text: str, **look) -> None:
    """Text of the tokens' size at a place in points; dollar signs in it are dollar signs."""
    axes.text(x, y, text, fontsize=style.SMALL, va="center_baseline", parse_math=False, **look)


def colour_bar(figure: Figure, height: float, name: str, largest: float = 1.0) -> Axes:
    """The shades from 0 to `largest`, named at the left; at the bottom right of a page that is `height` points high."""
    axes = figure.add_axes((0.62, 18 / height, 0.34, 7 / height))
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=SHADES, aspect="auto", extent=(0, largest, 0, 1))
    axes.set(yticks=[])
    axes.tick_params(length=2, pad=1)
    figure.text(0.61, 21.5 / height, name, ha="right", va="center", fontsize=style.SMALL)
    return axes


def _key(figure: Figure, page: Axes, height: float, label: str) -> None:
    # Two lines: the label source's name may be long.
    x, y = 4.0, height - KEY + 8
    for face, text in [(style.INFORMATIVE, f"informative ({label})"), (UNKNOWN, "no label")]:
        page.add_patch(Rectangle((x, y), 9, 9, facecolor=face, edgecolor="none"))
        put_text(page, x + 12, y + 4.5, text)
        x += text_width(text) + 22
    colour_bar(figure, height, "weight / largest weight of the row").set_xticks([0, 0.5, 1])
