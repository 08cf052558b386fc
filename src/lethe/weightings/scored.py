"""Weightings that have no name of their own: any score with any scale, written out in the config."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from lethe.methods.contract import Run, Scale, Score, TokenBatch, Weigher, Weighting
from lethe.methods.part import choice
from lethe.weightings.scales import SCALES
from lethe.weightings.scores import SCORES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

    from lethe.methods.forms import Form


class Scored(Weighting):
    """A score and the scale that makes weights of it, as in `{score: surprisal, scale: {top: {share: 0.3}}}`.

    A static score is scaled with the tokens of a training batch like any other.
    """

    score: choice(SCORES, "score", Score) = Field(description="S, a number per token.")
    scale: choice(SCALES, "scale", Scale) = Field(description="What makes weights of it.")

    @model_validator(mode="after")
    def _fits(self) -> Scored:
        if self.scale.whole_table and not self.score.columns():
            raise ValueError(
                "the scale ranks the tokens of the whole split, which a training step never shows together; it goes "
                "with score `column` only, use `top` to choose within each sequence"
            )
        return self

    @property
    def information(self) -> tuple[str, ...]:
        return self.score.information

    @property
    def reference(self) -> bool:
        return self.score.reference

    def temperatures(self) -> tuple[float, ...]:
        return self.score.temperatures()

    def forms(self) -> tuple[Form, ...]:
        return self.score.forms()

    def columns(self) -> tuple[str, ...]:
        return self.score.columns()

    def column(self, table: pd.DataFrame, seed: int) -> np.ndarray | None:
        values = self.score.column(table, seed)
        return None if values is None else self.scale.column(values, table)

    def start(self, run: Run) -> Weigher:
        return Scaled(self.score.start(run), self.scale)

    def weights(self, batch: TokenBatch) -> Tensor:
        return self.scale.weights(self.score.weights(batch), batch)


class Scaled(Weigher):
    """A run's scores, learned ones too, with a scale behind them; gradients of a learner pass through the scale."""

    def __init__(self, score: Weigher, scale: Scale):
        self.score, self.scale = score, scale

    def weights(self, batch: TokenBatch) -> Tensor:
        return self.scale.weights(self.score.weights(batch), batch)

    def parameters(self) -> Iterable[Tensor]:
        return self.score.parameters()

    def learn(self, batch: TokenBatch, forget_loss: Callable[[Tensor], Tensor]) -> None:
        self.score.learn(batch, lambda values: forget_loss(self.scale.weights(values, batch)))

    def update(self, step: int) -> None:
        self.score.update(step)

    def log(self) -> dict[str, float]:
        return self.score.log()

    def scores(self, batch: TokenBatch) -> dict[str, Tensor]:
        return self.score.scores(batch)

    def state(self) -> dict[str, Tensor]:
        return self.score.state()
