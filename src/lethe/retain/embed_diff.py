"""RMU's retain term: keep a layer's output on retain rows where the starting model had it.

Li et al. 2024 (arXiv 2403.03218); EMBED_DIFF in locuslab/open-unlearning. The starting model's states are stored once
by the `reference` rule.

Departs from that code, which reads the states *at* the answer tokens and takes the broken mean of its RMU: Lethe reads
those that predict the answer, as in `rmu`, and averages over the tokens of the effective batch, as with every retain
term. No value of the config brings that back: states at other positions are not stored, and with the broken mean a
row's share would depend on the others in its batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import RetainTerm, RetainTokens

if TYPE_CHECKING:
    from torch import Tensor


class EmbedDiff(RetainTerm):
    """mean((h − h₀)²) over the hidden dimension at each retain token, h the layer's output."""

    reference = True
    layer: int = Field(7, ge=0, description="Decoder layer, from 0; the one that RMU steers.")

    def reads_layer(self) -> int:
        return self.layer

    def losses(self, tokens: RetainTokens) -> Tensor:
        return (tokens.layer_hidden.float() - tokens.reference_hidden).square().mean(-1)
