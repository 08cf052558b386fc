"""Which answer tokens are informative, according to whom: all label sources by name.

A label source is a function `(config, data, table) -> Series`: a nullable boolean per row of the token
table, missing where the source says nothing about the sample. Labels are data, not truth: who annotated TOFU
for the published figures is unknown (ETW specification §4), so several sources stand side by side. To add
one: a file here, a line below, and a config section in `lethe.config` that joins `LabelConfig`. Sources that
know character spans leave the tokens to `lethe.labels.align`.
"""

import logging
from collections.abc import Callable, Mapping

import pandas as pd

from lethe.benchmarks.contract import Data
from lethe.config import LabelConfig
from lethe.labels.gold import gold
from lethe.labels.keywords import keywords
from lethe.labels.spacy import spacy_words
from lethe.labels.span_file import span_file

LABELS: dict[str, Callable[..., pd.Series]] = {
    "gold": gold,
    "spacy": spacy_words,
    "span_file": span_file,
    "keywords": keywords,
}

log = logging.getLogger(__name__)


def annotate(table: pd.DataFrame, data: Data, labels: Mapping[str, LabelConfig]) -> pd.DataFrame:
    """The token table with a column `informative_<name>` (nullable boolean) for every label source.

    Args:
        table: one row per answer token: sample, position, text, start, end (characters of the answer), eos.
        data: of the benchmark; rows of other samples are ignored.
        labels: name -> config of the source, as in the study's `labels`.

    Raises:
        InputError: what the sources raise, naming their file, row or model.
    """
    columns = {}
    for name, config in labels.items():
        column = LABELS[config.source](config, data, table)
        if column.notna().any():
            log.info("label source '%s': %.1f %% of its tokens are informative", name, 100 * column.mean())
        else:
            log.warning("label source '%s' says nothing about any sample of the token table", name)
        columns[f"informative_{name}"] = column
    return table.assign(**columns)


__all__ = ["LABELS", "annotate"]
