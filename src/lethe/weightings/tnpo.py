"""TNPO: NPO's weight, token by token. Tokens that have fallen below the starting model are let go.

Wang et al. 2025 (arXiv 2502.19301); β is that of the authors' code (tmlr-group/G-effect).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import Score, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class TNPO(Score):
    """ω = 2 p^β / (p^β + p₀^β), p₀ the token's probability under the starting model; 1 for each token at the start.

    Departs from the authors' code, which adds 1e-5 to the denominator: on p^β that small number makes ω rise with p
    and, at the starting model, ranks tokens like WGA. Written as 2 σ(β (ln p − ln p₀)) nothing needs guarding. Not
    normalised, as in the authors' code.
    """

    information = ("gold-token confidence", "reference model")
    reference = True
    beta: float = Field(4.0, gt=0, description="β, exponent of both probabilities, without unit.")

    def weights(self, batch: TokenBatch) -> Tensor:
        return 2 * (self.beta * (batch.logprob - batch.reference_logprob)).sigmoid()
