"""IdkDPO: prefer "I don't know" to the answer that is to be forgotten.

Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290) as used for TOFU (Maini et al. 2024,
arXiv 2401.06121; Zhang et al. 2024, arXiv 2404.05868), in the form of locuslab/open-unlearning. Departs from it in that
a question keeps its refusal for the whole study (`lethe.benchmarks.refusals`) instead of a new draw per epoch: so the
starting model's log-probabilities are stored once, and no second model is run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import ForgetTokens, Objective, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class IdkDPO(Objective):
    """Per sequence −(2/β) ln σ(β [(S₀ʷ − Sʷ) − (S₀ˡ − Sˡ)]), S = −Σ ln p, w the refusal, l the answer.

    The weights are those of the answer's tokens, in Sˡ and S₀ˡ; the refusal's tokens count the same.
    """

    unit = "sequence"
    information = ("gold-token confidence", "reference model")  # of the whole sequence, against a refusal
    reference = True
    refusals = True
    beta: float = Field(0.1, gt=0, description="β, inverse temperature of the preference, 1/nats.")

    def losses(self, tokens: ForgetTokens, weights: Tensor, batch: TokenBatch) -> Tensor:
        from torch.nn.functional import logsigmoid

        refusal = tokens.refusal
        gained = refusal.logprob.new_zeros(batch.n_sequences).index_add(
            0, refusal.sequence, refusal.logprob - refusal.reference_logprob
        )  # S₀ʷ − Sʷ
        kept = batch.sum_per_sequence(weights * (tokens.logprob - batch.reference_logprob))  # S₀ˡ − Sˡ
        return -2 / self.beta * logsigmoid(self.beta * (gained - kept))
