"""Which samples a heat-map shows when the config names none."""

import pandas as pd


def default_samples(table: pd.DataFrame, groups: dict[str, str], count: int = 2) -> list[str]:
    """The first sample of each of the first `count` groups (authors) of a token table.

    Args:
        table: token table.
        groups: sample -> group.
    """
    samples = table["sample"].drop_duplicates()
    return samples.groupby(samples.map(groups), sort=False).first().head(count).tolist()
