"""UNDIAL: learn the starting model's own predictions, with the logit of each gold token lowered.

Dong et al. 2024 (arXiv 2402.10052); β as in locuslab/open-unlearning, which uses no retain term and learning rate 1e-4
with it. Departs from that code in two ways: it averages over prompt and padding too, and at ignored positions lowers
the logit of the vocabulary's hundredth entry from the end, at which the label −100 points as an index. No value of the
config brings that back: it takes logits at every position of a sequence, and Lethe touches the vocabulary at
loss-bearing positions only. The starting model's hidden states are stored once; no second model is run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import ForgetTokens, Objective, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class UNDIAL(Objective):
    """Per sequence Σ ω KL(q ‖ p), q = softmax(z₀ − β·onehot(y)), z₀ the starting model's logits.

    The published loss is the cross-entropy of q and p: the same gradient, larger by q's entropy, which is constant.
    """

    unit = "token"
    information = ("predictive distribution", "reference model")
    teacher = True
    beta: float = Field(10.0, ge=0, description="β, what is taken off the gold token's logit, nats.")

    def losses(self, tokens: ForgetTokens, weights: Tensor, batch: TokenBatch) -> Tensor:
        from lethe.methods.kernel import token_kl

        divergence = token_kl(
            tokens.hidden,
            tokens.head,
            tokens.reference_hidden,
            tokens.reference_head,
            lowered=(tokens.targets, self.beta),
        )
        return batch.sum_per_sequence(weights * divergence)
