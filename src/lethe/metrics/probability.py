"""How likely a model finds an answer, independent of its length (TOFU, arXiv 2401.06121, evaluation metrics).

The end token counts: a model that has forgotten when to stop has forgotten something.
"""

import numpy as np

EPSILON = 1e-10
"""Added to denominators, as in open-unlearning; it matters for collapsed models only."""


def probability(average_loss: np.ndarray) -> np.ndarray:
    """[A] mean loss, nats per token -> [A] length-normalised probability exp(−loss) of each answer."""
    return np.exp(-np.asarray(average_loss, dtype=np.float64))


def normalised(correct: np.ndarray, options: np.ndarray) -> np.ndarray:
    """[S] probability of the answer over that of all its options.

    Args:
        correct: [S] probability of the right answer.
        options: [S] sum of the probabilities of the false answers.
    """
    return correct / (correct + options + EPSILON)
