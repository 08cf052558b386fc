"""What the starting model says of each token: its log-probability, entropies, and other uncertainty measures."""

import numpy as np
import pandas as pd
from transformers import PreTrainedModel

from lethe.benchmarks.contract import Row
from lethe.errors import InputError
from lethe.methods.forms import Form, entropy_column
from lethe.models.forward import Question, score_answers
from lethe.models.prompts import Encoder
from lethe.tokens.table import token_keys


def score_table(
    model: PreTrainedModel,
    encoder: Encoder,
    rows: list[Row],
    table: pd.DataFrame,
    temperatures: list[float],
    dtype,
    forms: tuple[Form, ...] = (),
) -> pd.DataFrame:
    """The token table with `logprob`, `entropy_T<t>` (nats) and the forms' columns, from one teacher-forced pass."""
    questions = [Question(example.prompt, [example.answer]) for example in encoder.examples(rows)]
    scores, _ = score_answers(model, questions, tuple(temperatures), dtype=dtype, forms=tuple(forms))
    columns = {"logprob": np.concatenate([s[0].logprob.numpy() for s in scores])}
    for t in temperatures:
        columns[entropy_column(t)] = np.concatenate([s[0].entropy[t].numpy() for s in scores])
    for form in forms:
        columns[form.column] = np.concatenate([s[0].forms[form].numpy() for s in scores])
    key = ["sample", "position", "token_id"]
    scored = pd.DataFrame(token_keys([r.id for r in rows], [q.answers[0] for q in questions]) | columns)
    merged = table.merge(scored, on=key, how="left", validate="one_to_one")
    if len(merged) != len(scored) or merged["logprob"].isna().any():
        raise InputError("token table and rows do not belong together; rebuild the table for this model.")
    return merged
