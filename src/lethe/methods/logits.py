"""Log-probabilities and entropy of predictions, exact to their last digits; what the kernel and the forms share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def entropy_of(log_p: Tensor) -> Tensor:
    """[c, V] log-probabilities, nats → [c] entropies, nats."""
    from torch.linalg import vecdot

    return -vecdot(log_p.exp(), log_p)


def log_softmax(logits: Tensor) -> Tensor:
    """[c, V] logits → [c, V] log-probabilities, nats; fp32, and exact to its last digits for certain words too.

    Summed over a real vocabulary, a certain word's 1 swallows some of the others' small shares: at 1 − p = 1e-4 torch's
    own ln p is off by several per cent on a CPU. Here it is −ln(1 + what the others have).
    """
    largest, first = logits.max(-1, keepdim=True)
    shifted = logits - largest
    others = shifted.exp().scatter_(-1, first, 0).sum(-1, keepdim=True)
    return shifted - others.log1p()
