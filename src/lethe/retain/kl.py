"""Stay close to the starting model on retain rows.

The starting model is not kept in memory: its last hidden states on the retain tokens are stored once by the
`reference` rule, and its predictions are rebuilt from them chunk by chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lethe.methods.contract import RetainTerm, RetainTokens

if TYPE_CHECKING:
    from torch import Tensor


class KL(RetainTerm):
    """KL(p₀ ‖ p) at each retain token over the full vocabulary, nats; p₀ is the starting model.

    Departs from locuslab/open-unlearning, which also averages over prompt and padding positions. No value of the config
    brings that back: it takes logits at every position of a sequence, and Lethe touches the vocabulary at loss-bearing
    positions only.
    """

    reference = True

    def losses(self, tokens: RetainTokens) -> Tensor:
        from lethe.methods.kernel import token_kl

        return token_kl(tokens.hidden, tokens.head, tokens.reference_hidden, tokens.reference_head)
