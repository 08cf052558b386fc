"""Which stage of the token table adds which columns, and which columns a method needs."""

import re
from collections.abc import Iterable

from lethe.config import MethodConfig
from lethe.methods.forms import FORMS, entropy_column

STAGES = {
    "annotate": r"informative_.+",
    "score": rf"logprob|entropy_T[\d.]+|({'|'.join(FORMS)})(_.+)?_T[\d.]+",
    "parse": r"pos|noun_chunk|entity",
    "embedding_noise": r"mutual_information",
}
"""Stage of the token table -> the columns that it adds (full match)."""


def stages_of(columns: Iterable[str]) -> list[str]:
    """Stages of the token table that add the given columns, in the order of `STAGES`."""
    columns = list(columns)
    return [stage for stage, names in STAGES.items() if any(re.fullmatch(names, column) for column in columns)]


def training_columns(method: MethodConfig) -> list[str]:
    """What training reads of the token table; entropies and forms come from its own forward passes."""
    return [*method.weighting.columns()] + ["logprob"] * (method.objective.reference or method.weighting.reference)


def weight_columns(method: MethodConfig) -> list[str]:
    """What weights at the starting model are made from."""
    columns = [entropy_column(t) for t in method.weighting.temperatures()]
    columns += [form.column for form in method.weighting.forms()]
    return [*columns, *method.weighting.columns()]
