"""Stage of the token table: which tokens each label source of the study calls informative."""

import logging
from collections.abc import Mapping

import pandas as pd

from lethe.benchmarks.contract import Data
from lethe.config import LabelConfig
from lethe.labels import LABELS

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
