"""SimNPO: NPO without a starting model; the loss per token takes its place.

Fan et al. 2024 (arXiv 2410.07163). β multiplies δ too, as in locuslab/open-unlearning, whose defaults β and δ are; the
paper's form is −(2/β) ln σ(−(β/|y|) ln p(y) − δ). open-unlearning also sets the method's `strength` to 0.125.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import ForgetTokens, Objective, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class SimNPO(Objective):
    """Per sequence −(2/β) ln σ(β (S/n − δ)), S = −Σ ω ln p, n its tokens; with ω = 1 it is plain SimNPO."""

    unit = "sequence"
    information = ("gold-token confidence",)  # of the whole sequence
    beta: float = Field(4.5, gt=0, description="β, inverse temperature of the preference, tokens/nats.")
    delta: float = Field(0.0, description="δ, margin, nats per token.")

    def losses(self, tokens: ForgetTokens, weights: Tensor, batch: TokenBatch) -> Tensor:
        from torch.nn.functional import logsigmoid

        mean = -batch.sum_per_sequence(weights * tokens.logprob) / batch.lengths()
        return -2 / self.beta * logsigmoid(self.beta * (mean - self.delta))
