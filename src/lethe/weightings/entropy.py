"""ETW: tokens at which the model's prediction is spread out carry the information.

"Forget What Matters, Keep the Rest", arXiv 2604.17785; docs/choices.md#etws-weight. The entropy is that of the current
model over the full vocabulary, taken from the very logits of the training forward; temperature enters the entropy only,
never the log-probability of the loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lethe.methods.contract import TokenBatch
from lethe.weightings.raw_entropy import RawEntropy

if TYPE_CHECKING:
    from torch import Tensor


class Entropy(RawEntropy):
    """ω = n · H / Σ H within each sequence, so that Σ ω = n and the total strength is that of gradient ascent.

    Short for `{score: {entropy: …}, scale: normalised}`.
    """

    def weights(self, batch: TokenBatch) -> Tensor:
        return batch.normalise(super().weights(batch))
