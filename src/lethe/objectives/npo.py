"""Negative preference optimisation: ascent that fades as a sequence falls below the starting model.

Zhang et al. 2024 (arXiv 2404.05868), in the form of locuslab/open-unlearning. The starting model's log-probabilities
are those stored in the token table: no second model is kept or run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import ForgetTokens, Objective, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class NPO(Objective):
    """Per sequence −(2/β) ln σ(β (S − S₀)), S = −Σ ω ln p, S₀ the same under the starting model.

    With ω = 1 it is plain NPO. S₀ takes the same weights as S unless `weighted_reference` is false, so that the
    difference stays a log-ratio.
    """

    unit = "sequence"
    information = ("gold-token confidence", "reference model")  # of the whole sequence
    reference = True
    beta: float = Field(0.1, gt=0, description="β, inverse temperature of the preference, 1/nats.")
    weighted_reference: bool = Field(True, description="Weight the reference sum S₀ like S.")

    def losses(self, tokens: ForgetTokens, weights: Tensor, batch: TokenBatch) -> Tensor:
        from torch.nn.functional import logsigmoid

        current = -batch.sum_per_sequence(weights * tokens.logprob)
        reference_weights = weights if self.weighted_reference else weights.new_ones(len(weights))
        reference = -batch.sum_per_sequence(reference_weights * batch.reference_logprob)
        return -2 / self.beta * logsigmoid(self.beta * (current - reference))
