"""Where a figure or table goes: files beside each other that share a stem, each table with its provenance."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lethe.io import write_text
from lethe.provenance import stamped_csv

if TYPE_CHECKING:  # a table needs no matplotlib
    import pandas as pd
    from matplotlib.figure import Figure

    from lethe.tables.render import Layout


class Target:
    """Outputs of one exhibit at one place; a method for each kind of output (`lethe.exhibits.SUFFIXES`).

    Args:
        stems: part -> path without suffix, for the parts that the exhibit declares.
        origin: provenance, for CSV columns and page footers.
    """

    def __init__(self, stems: Mapping[str, str], origin: Mapping):
        self.stems, self.origin = stems, origin

    def figure(self, figure: "Figure", part: str = "") -> None:
        """SVG, PDF and PNG."""
        from lethe.figures import style

        style.save(figure, self.stems[part])

    def table(self, table: "pd.DataFrame", layout: "Layout", part: str = "") -> None:
        """CSV, Markdown, LaTeX and HTML, by `lethe.tables.render`."""
        from lethe.tables import render

        render.write(table, self.stems[part], layout, self.origin)

    def csv(self, table: "pd.DataFrame", part: str = "") -> None:
        """All columns as raw numbers, with provenance in columns of their own."""
        write_text(f"{self.stems[part]}.csv", stamped_csv(table, self.origin))

    def page(self, html: str, part: str = "") -> None:
        """A self-contained HTML page."""
        write_text(f"{self.stems[part]}.html", html)
