"""Go on learning the retain rows: the retain term of GradDiff and of ETW (arXiv 2604.17785)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lethe.methods.contract import RetainTerm, RetainTokens

if TYPE_CHECKING:
    from torch import Tensor


class NLL(RetainTerm):
    """Negative log-likelihood of each retain token, nats."""

    def losses(self, tokens: RetainTokens) -> Tensor:
        from lethe.methods.kernel import token_statistics

        return -token_statistics(tokens.hidden, tokens.head, tokens.targets).logprob
