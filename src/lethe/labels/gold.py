"""The benchmark's own spans: exact where facts were generated, absent in TOFU."""

import pandas as pd

from lethe.benchmarks.contract import Data
from lethe.config import GoldLabels
from lethe.labels.align import informative


def gold(config: GoldLabels, data: Data, table: pd.DataFrame) -> pd.Series:
    """Nullable boolean per token: inside a gold span; missing where the row has none (`spans` is None)."""
    return informative(table, {row.id: row.spans for row in data.rows})
