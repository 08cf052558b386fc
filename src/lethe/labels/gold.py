"""The benchmark's own spans: exact where facts were generated, absent in TOFU."""

import pandas as pd

from lethe.benchmarks.records import Record
from lethe.config import GoldLabels
from lethe.labels.align import informative


def gold(config: GoldLabels, records: list[Record], table: pd.DataFrame) -> pd.Series:
    """Nullable boolean per token: inside a gold span; missing where the record has none (`spans` is None)."""
    return informative(table, {record.id: record.spans for record in records})
