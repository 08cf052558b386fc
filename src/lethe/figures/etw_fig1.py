"""ETW Fig. 1: two places of one answer, one where only one word fits and one where a fact comes.

arXiv 2604.17785; docs/choices.md#figures-of-etw. Next-token distributions with their entropies, and below them the
entropies of the whole answer.
"""

from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lethe.analysis.token_choice import choose_positions
from lethe.benchmarks.prepared import read_data
from lethe.errors import InputError
from lethe.figures import style
from lethe.figures.token_text import ROW, SHADES, colour_bar, lines, put_text, shown
from lethe.io import read_table, require
from lethe.target import Target

KINDS = {"structural": style.STRUCTURAL, "informative": style.INFORMATIVE}
OTHER = "#BBBBBB"
LONGEST = 12  # characters of a token's name under its bar
PANELS, NAMES, TITLES, KEY = 205.0, 58.0, 32.0, 34.0  # points: bars with names and titles, of which names, titles; key
SPACE = 10.0  # points between lines of the answer


def make(source, settings, target: Target) -> None:
    """From a token table, the data and one answer's next-token distributions, the figure."""
    table = read_table(source.next_tokens[0])
    sample = table["sample"].iloc[0]
    positions = choose_positions(read_table(source.tokens[0]), sample, settings.label)
    (question,) = [row.prompt or "" for row in read_data(source.data[0]).rows if row.id == sample]
    style.save(draw(table, positions, question), target.stem())


@style.styled
def draw(table: pd.DataFrame, positions: tuple[int, int], question: str) -> Figure:
    """Bars of the likeliest next tokens at two positions, above the answer shaded by entropy.

    Args:
        table: `lethe.analysis.next_tokens.next_tokens` of one record.
        positions: of the structural and of the informative token.
        question: printed above the answer.

    Raises:
        InputError: if a column or a position is missing.
    """
    require(
        table,
        ["sample", "position", "gold_text", "rank", "text", "probability", "gold", "entropy"],
        "table of next tokens",
    )
    answer = table[table["gold"]].sort_values("position").reset_index(drop=True)
    answer = answer.assign(text=answer["gold_text"], eos=answer.index == len(answer) - 1)
    missing = [position for position in positions if position not in set(answer["position"])]
    if missing:
        raise InputError(
            f"sample {table['sample'].iloc[0]}: no position {missing}; the answer has positions 0 to {len(answer) - 1}."
        )
    width = style.WIDTH * 72
    header = wrap(f"{answer['sample'].iloc[0]}: {question}", 105)
    broken = lines(answer, 6, width - 6)
    strip = ROW * len(header) + 4 + len(broken) * (ROW + SPACE) + KEY
    height = PANELS + strip
    figure = Figure(figsize=(style.WIDTH, height / 72))
    for left, (kind, colour), position in zip((0.085, 0.585), KINDS.items(), positions, strict=True):
        axes = figure.add_axes((left, (strip + NAMES) / height, 0.405, (PANELS - NAMES - TITLES) / height))
        _bars(axes, table[table["position"] == position].sort_values("rank"), kind, colour)
    figure.axes[0].set_ylabel("Probability")
    page = figure.add_axes((0, 0, 1, strip / height), xlim=(0, width), ylim=(strip, 0))
    page.axis("off")
    for i, line in enumerate(header):
        put_text(page, 6, ROW * (i + 0.5), line)
    _strip(page, answer, broken, ROW * len(header) + 4, dict(zip(positions, KINDS.items(), strict=True)))
    _key(figure, answer["entropy"].max(), height)
    return figure


def visible(text: str) -> str:
    """A token's text with its white space made visible, shortened to fit under a bar."""
    for sign, stand_in in ((" ", "␣"), ("\n", "↵"), ("\r", "↵"), ("\t", "⇥")):
        text = text.replace(sign, stand_in)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _bars(axes: Axes, rows: pd.DataFrame, kind: str, colour: str) -> None:
    # A gold token beyond the likeliest stands apart from them, with its rank.
    apart = rows["rank"].to_numpy() > np.arange(1, len(rows) + 1)
    places = np.arange(len(rows)) + 0.6 * apart
    axes.bar(places, rows["probability"], width=0.75, color=np.where(rows["gold"], colour, OTHER))
    for x, value, rank, gold, far in zip(places, rows["probability"], rows["rank"], rows["gold"], apart, strict=True):
        number = f"{value:.2f}" if value >= 0.0095 else f"{value:.0e}".replace("e-0", "e-")
        axes.annotate(
            f"rank {rank}\n{number}" if far else number,
            (x, value),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=style.SMALL,
            fontweight="bold" if gold else "normal",
        )
    axes.set_xticks(places, map(visible, rows["text"]), rotation=45, ha="right", rotation_mode="anchor")
    for name, gold in zip(axes.get_xticklabels(), rows["gold"], strict=True):
        name.set(parse_math=False, fontweight="bold" if gold else "normal")
    axes.tick_params(axis="x", length=0)
    axes.set(ylim=(0, 1.12), yticks=[0, 0.5, 1])
    gold = rows[rows["gold"]].iloc[0]
    axes.set_title(
        f"{kind}: {visible(gold['gold_text'])} (position {gold['position']})\nentropy H = {gold['entropy']:.3g} nats",
        parse_math=False,
    )


def _strip(page: Axes, answer: pd.DataFrame, broken: list, y: float, marked: dict[int, tuple[str, str]]) -> None:
    """The answer, one box per token; the two marked ones are framed and named."""
    shares = answer["entropy"] / (answer["entropy"].max() or 1.0)
    for line in broken:
        for i, x, w in line:
            kind, edge = marked.get(answer["position"][i], ("", "none"))
            face = to_hex(SHADES(shares[i]))
            page.add_patch(
                Rectangle(
                    (x, y + 0.4), w, ROW - 0.8, facecolor=face, edgecolor=edge, linewidth=1.6, zorder=1.5 if kind else 1
                )
            )
            put_text(page, x + w / 2, y + ROW / 2, shown(answer.iloc[i]), ha="center")
            if kind:
                put_text(page, x + w / 2, y + ROW + 4.5, "▲", ha="center", color=edge)
        y += ROW + SPACE


def _key(figure: Figure, largest: float, height: float) -> None:
    for x, (kind, colour) in zip((0.085, 0.25), KINDS.items(), strict=True):
        figure.text(x, 21.5 / height, "▲", color=colour, va="center", fontsize=style.SMALL)
        figure.text(x + 0.02, 21.5 / height, f"gold, {kind}", va="center", fontsize=style.SMALL)
    colour_bar(figure, height, "entropy (nats)", largest or 1.0)
