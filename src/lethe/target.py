"""Where a figure or table goes: files beside each other that share a stem, each table with its provenance."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lethe.io import write_text
from lethe.provenance import stamped_csv

if TYPE_CHECKING:  # a page needs no tables
    import pandas as pd


class Target:
    """Outputs of one exhibit at one place, of the kinds of `lethe.exhibits.SUFFIXES`.

    A figure is written with `lethe.figures.style.save`, a table with `lethe.tables.render.write`, each to its `stem`.

    Args:
        stems: part -> path without suffix, for the parts that the exhibit declares.
        origin: provenance, for CSV columns and page footers.
    """

    def __init__(self, stems: Mapping[str, str], origin: Mapping):
        self.stems, self.origin = stems, origin

    def stem(self, part: str = "") -> str:
        """Path without suffix."""
        return self.stems[part]

    def csv(self, table: "pd.DataFrame", part: str = "") -> None:
        """All columns as raw numbers, with provenance in columns of their own."""
        write_text(f"{self.stem(part)}.csv", stamped_csv(table, self.origin))

    def page(self, html: str, part: str = "") -> None:
        """A self-contained HTML page."""
        write_text(f"{self.stem(part)}.html", html)
