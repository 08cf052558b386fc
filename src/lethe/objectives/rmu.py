"""RMU: turn the inner representation of forget tokens into one random direction.

Li et al. 2024 (arXiv 2403.03218); layer and steering are locuslab/open-unlearning's, which trains all parameters and
pairs it with the retain term `embed_diff`. Departs from that code: its per-sample mean is broken by broadcasting, and
it reads the states *at* the answer tokens where Lethe reads those that predict them, like every objective.

The broken mean divides sums of shape (b,) by token counts n of shape (b, 1), which gives the mean of the sums times the
mean of 1/n: a sample's share depends on the others in its batch. No value of the config brings it back, since the loss
of a step would change with `micro_batch_size`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from lethe.methods.contract import ForgetTokens, Objective, Run, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


class RMU(Objective):
    """Per sequence (1/n) Σ ω mean((h − c·u)²), h the layer's output, u a random unit vector drawn once per run."""

    unit = "sequence"
    layer: int = Field(7, ge=0, description="Decoder layer whose output is steered, from 0; before the last one.")
    steering: float = Field(2.0, gt=0, description="c, length of the control vector, in units of the hidden state.")

    def reads_layer(self) -> int:
        return self.layer

    def start(self, run: Run) -> Callable[[ForgetTokens, Tensor, TokenBatch], Tensor]:
        import torch

        direction = torch.rand(run.hidden_size, generator=torch.Generator().manual_seed(run.seed))
        control = self.steering * direction / direction.norm()

        def losses(tokens: ForgetTokens, weights: Tensor, batch: TokenBatch) -> Tensor:
            distance = (tokens.layer_hidden.float() - control.to(tokens.layer_hidden.device)).square().mean(-1)  # [N]
            return batch.sum_per_sequence(weights * distance) / batch.lengths()

        return losses
