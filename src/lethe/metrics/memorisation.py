"""How much of an answer comes out word for word under teacher forcing.

Both measures see the arg-max prediction of every label but the last, which is the end token. Arrays over
tokens are flat; `answer` says which answer a token belongs to, so that thousands of answers are one
vectorised call.
"""

import numpy as np


def exact_memorization(greedy: np.ndarray, answer: np.ndarray, n_answers: int) -> np.ndarray:
    """[A] share of tokens whose arg-max prediction is the label (Tirumala et al. 2022); NaN without tokens.

    Args:
        greedy: [N] bool, arg-max prediction equals the label.
        answer: [N] index into A.
        n_answers: A.
    """
    length = np.bincount(answer, minlength=n_answers)
    right = np.bincount(answer, weights=greedy, minlength=n_answers)
    return np.divide(right, length, out=np.full(n_answers, np.nan), where=length > 0)


def extraction_strength(
    greedy: np.ndarray, position: np.ndarray, answer: np.ndarray, n_answers: int, ou_compat: bool = False
) -> np.ndarray:
    """[A] 1 − k/n, k the smallest start from which all n predictions are right; NaN without tokens.

    Carlini et al. 2021; k = n, hence 0, when no suffix is right.

    Args:
        greedy, answer, n_answers: as in `exact_memorization`.
        position: [N] position within the answer, 0 … n − 1.
        ou_compat: 1/n instead of 0 when no suffix is right, as open-unlearning's loop ends with k = n − 1.
    """
    length = np.bincount(answer, minlength=n_answers)
    start = np.zeros(n_answers, dtype=np.int64)  # [A] one past the last wrong prediction
    wrong = ~np.asarray(greedy, dtype=bool)
    np.maximum.at(start, answer[wrong], position[wrong] + 1)
    if ou_compat:
        start = np.minimum(start, np.maximum(length - 1, 0))
    return np.divide(length - start, length, out=np.full(n_answers, np.nan), where=length > 0)
