"""The loss of a token as its score: what the model is least sure of, without a bound where `importance` saturates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lethe.methods.contract import Score, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class Surprisal(Score):
    """ω = −ln p (nats), p the probability of the token under the current model."""

    information = ("gold-token confidence",)

    def weights(self, batch: TokenBatch) -> Tensor:
        return (-batch.logprob).clamp(min=0)  # fp32 can round ln p above 0
