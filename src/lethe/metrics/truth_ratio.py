"""Whether a model still prefers the truth to falsehoods of the same form (TOFU, arXiv 2401.06121).

The truth ratio compares false answers with a true one that was not trained on word for word. Its distribution
over the forget set, not its mean, is what forget quality compares.
"""

import numpy as np

from lethe.metrics.probability import EPSILON, probability


def truth_ratio(correct: np.ndarray, false: np.ndarray) -> np.ndarray:
    """[S] TR = exp(−false) / (exp(−correct) + 1e-10).

    Args:
        correct: [S] mean loss of the true answer, nats per token: the paraphrase (forget, retain) or the
            answer itself (real authors, world facts).
        false: [S] mean over the perturbed answers of their mean loss, nats per token; losses are averaged
            before the exponential.
    """
    return probability(false) / (probability(correct) + EPSILON)


def closeness(ratio: np.ndarray) -> np.ndarray:
    """[S] min(TR, 1/(TR + 1e-10)): 1 when truth and falsehood are equally likely; for forget data."""
    return np.minimum(ratio, 1 / (ratio + EPSILON))


def superiority(ratio: np.ndarray) -> np.ndarray:
    """[S] max(0, 1 − TR): 1 when falsehood is impossible, 0 when it is as likely; for data that must stay."""
    return np.maximum(0, 1 - ratio)


def knowledge(correct: np.ndarray, false: np.ndarray) -> np.ndarray:
    """[S] true / (true + false + 1e-10) of the same losses (meta-evaluation of open-unlearning)."""
    true = probability(correct)
    return true / (true + probability(false) + EPSILON)
