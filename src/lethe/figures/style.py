"""One place for the look of all figures, so that a method has the same colour, marker and line in each of
them.

Colours are of the palettes of Okabe & Ito and Paul Tol, which stay apart under colour-vision deficiency;
because no palette of fifteen does so for everybody, marker and line style carry the same information. Sizes
are for a text width of 6.5 inches: nothing is smaller than 7 points.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lethe.io import atomic

WIDTH = 6.5  # inches
SMALL = 7  # points, the smallest text

RC = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so figures do not depend on installed fonts
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "lethe",
}

# Tol's high-contrast pair: the two kinds of token, wherever they are told apart.
INFORMATIVE, STRUCTURAL = "#004488", "#DDAA33"


class Look(NamedTuple):
    """How a method is drawn."""

    colour: str
    marker: str
    line: str


KNOWN = {
    "full": Look("#000000", "*", "-"),
    "retain": Look("#404040", "p", "--"),
    "GA": Look("#666666", "s", "-"),
    "GradDiff": Look("#8C8C8C", "s", "--"),
    "WGA": Look("#0072B2", "^", "-"),
    "NPO": Look("#882255", "h", "-"),
    "SimNPO": Look("#AA4499", "H", "--"),
    "TNPO": Look("#56B4E9", "<", "--"),
    "WTNPO": Look("#332288", ">", "--"),
    "Imp": Look("#009E73", "v", "-"),
    "SatImp": Look("#CC79A7", "D", "-"),
    "SCN": Look("#E69F00", "P", "-."),
    "SCE": Look("#999933", "X", "-."),
    "ETW": Look("#D55E00", "o", "-"),
    "Oracle": Look("#1A1A1A", "d", ":"),
    "Random": Look("#B3B3B3", "8", ":"),
}
_KNOWN = {name.lower(): look for name, look in KNOWN.items()}

# Seven colours and four markers go round side by side: 28 looks, and neighbours differ in both.
_COLOURS = ["#117733", "#CC6677", "#6699CC", "#661100", "#44AA99", "#DDCC77", "#AA4466"]
_MARKS = [("--", "s"), ("-.", "^"), (":", "D"), ("-", "o")]
SPARE = [Look(_COLOURS[i % 7], marker, line) for i in range(28) for line, marker in [_MARKS[i % 4]]]


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """The look of each method: fixed for known names (in any case), else the next spare one in the order
    given.

    Figures of one study agree if they are given the study's methods in the same order.
    """
    result, spare = {}, 0
    for method in dict.fromkeys(methods):
        if method.lower() in _KNOWN:
            result[method] = _KNOWN[method.lower()]
        else:
            result[method] = SPARE[spare % len(SPARE)]
            spare += 1
    return result


def colour(method: str, methods: Iterable[str] = ()) -> str:
    """Colour of a method; `methods` is the study's list and matters only for names not in `KNOWN`."""
    return looks([*methods, method])[method].colour


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorator of the figures' `draw`: apply the style to this figure alone, not to the caller's session.

    Tick labels are made lazily, with whatever style is in force then; so their size is written into the axes,
    and the figure is laid out before it is handed back.
    """

    @wraps(draw)
    def wrapper(*args, **kwargs) -> Figure:
        with mpl.rc_context(RC):
            figure = draw(*args, **kwargs)
            FigureCanvasAgg(figure)  # no display is ever needed
            for axes in figure.axes:
                axes.tick_params(which="both", labelsize=SMALL)
            for _ in range(2):  # legends hang on axes whose size the first layout changes
                figure.draw_without_rendering()
        return figure

    return wrapper


def new(width: float, height: float) -> Figure:
    """An empty figure, inches; kept out of pyplot, so nothing has to be closed."""
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, stem: str | Path) -> list[Path]:
    """Write `<stem>.svg`, `<stem>.pdf` and `<stem>.png` (200 dpi); the same figure gives the same bytes.

    Text stays text in the vector files (TrueType in the PDF).
    """
    undated = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
        "png": {"Software": None},
    }
    paths = [Path(f"{stem}.{suffix}") for suffix in undated]
    with mpl.rc_context(RC):
        for path, (suffix, metadata) in zip(paths, undated.items(), strict=True):
            with atomic(path) as temporary:
                figure.savefig(temporary, format=suffix, metadata=metadata)
    return paths
