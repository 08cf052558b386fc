"""Go on learning the retain rows: the retain term of GradDiff and of ETW (arXiv 2604.17785, §2.1)."""

from torch import Tensor

from lethe.methods.contract import RetainTerm, RetainTokens
from lethe.methods.kernel import token_statistics


class NLL(RetainTerm):
    """Negative log-likelihood of each retain token, nats."""

    def losses(self, tokens: RetainTokens) -> Tensor:
        return -token_statistics(tokens.hidden, tokens.head, tokens.targets).logprob
