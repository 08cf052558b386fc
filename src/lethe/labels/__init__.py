"""Which answer tokens are informative, according to whom: all label sources by name.

A label source is a function `(config, data, table) -> Series`: a nullable boolean per row of the token
table, missing where the source says nothing about the sample. Labels are data, not truth: who annotated TOFU
for the published figures is unknown (docs/choices.md#labels-and-auc), so several sources stand side by side. To add
one: a file here, a line below, and a config section in `lethe.config` that joins `LabelConfig`. Sources that
know character spans leave the tokens to `lethe.labels.align`.
"""

from collections.abc import Callable

import pandas as pd

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
