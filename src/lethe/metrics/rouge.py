"""How much of the answer a model still says (ROUGE-L recall; Lin 2004).

Recall rather than F1, because a model that answers rightly and at length has not forgotten (TOFU, arXiv
2401.06121).
"""

import re
from collections.abc import Iterable

import numpy as np


def rouge_l_recall(answers: Iterable[str], generations: Iterable[str]) -> np.ndarray:
    """[S] share of the answer's words in the longest common subsequence with the generation, Porter-stemmed.

    rouge_score counts ASCII letters and digits only; an answer without any has no recall (NaN), where the
    library returns 0.
    """
    from rouge_score.rouge_scorer import RougeScorer  # slow to import, and the workflow plans without it

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    return np.array(
        [
            scorer.score(answer, generation.strip())["rougeL"].recall
            if re.search("[a-z0-9]", answer.lower())
            else np.nan
            for answer, generation in zip(answers, generations, strict=True)
        ],
        dtype=np.float64,
    )
