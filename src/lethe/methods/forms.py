"""How undecided a prediction is, said in other ways than by its entropy: the functional forms of ETW's reviewers.

Each is a number per token, made of the whole predictive distribution at a temperature and of nothing else, like the
entropy of ETW (arXiv 2604.17785); definitions: docs/choices.md#functional-forms. A form is a column of the token table
(config key `forms`) and, through the weighting `spread`, a way to weigh tokens. All are 0 for a certain prediction.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from lethe.methods.logits import entropy_of, log_softmax
from lethe.methods.part import Part

if TYPE_CHECKING:
    from torch import Tensor


def entropy_column(temperature: float) -> str:
    """Name of the entropy column at a temperature: `entropy_T1.0`."""
    return f"entropy_T{float(temperature)}"


class Form(Part):
    """A spread of predictive distributions. Override `values`; `prefix` begins the column's name."""

    prefix: ClassVar[str]
    temperature: float = Field(1.0, gt=0, description="T of the softmax, without unit.")

    @property
    def column(self) -> str:
        """Name of the token table's column: prefix, own hyper-parameters, T; e.g. `top_k_entropy_k10_T1.0`."""
        own = [f"{key}{value}" for key, value in self.model_dump().items() if key != "temperature"]
        return "_".join([self.prefix, *own, f"T{float(self.temperature)}"])

    def of(self, logits: Tensor) -> Tensor:
        """[c, V] logits, shifted by any constant → [c] values ≥ 0 of the prediction at T."""
        return self.values(log_softmax(logits / self.temperature))

    def values(self, log_p: Tensor) -> Tensor:
        """[c, V] log-probabilities at T, nats, normalised → [c] values ≥ 0."""
        raise NotImplementedError(f"{type(self).__name__} defines no values().")


class NormalisedEntropy(Form):
    """H / ln V, the share of the greatest possible entropy. Rescaled to Σ ω = n it is ETW exactly."""

    prefix = "normalised_entropy"

    def values(self, log_p: Tensor) -> Tensor:
        return entropy_of(log_p) / math.log(log_p.shape[-1])


class TopKEntropy(Form):
    """Entropy (nats) of the k likeliest words, renormalised; k = V is the entropy."""

    prefix = "top_k_entropy"
    k: int = Field(10, ge=2, description="Words kept.")

    def values(self, log_p: Tensor) -> Tensor:
        return entropy_of(log_softmax(log_p.topk(min(self.k, log_p.shape[-1]), dim=-1).values))


class Variance(Form):
    """1 − Σ p², the trace of the covariance of the one-hot prediction; also the Gini impurity."""

    prefix = "variance"

    def values(self, log_p: Tensor) -> Tensor:
        return _variance(log_p)


class CollisionEntropy(Form):
    """−ln Σ p² (nats), Rényi's entropy of order 2."""

    prefix = "collision_entropy"

    def values(self, log_p: Tensor) -> Tensor:
        variance = _variance(log_p)
        # Σ p² is known to its last digits where it is small, 1 − Σ p² where that is
        return (-(-variance).log1p()).where(variance < 0.5, -(2 * log_p).logsumexp(-1))


class Margin(Form):
    """1 − (p₁ − p₂): how close the second likeliest word comes to the likeliest."""

    prefix = "margin"

    def values(self, log_p: Tensor) -> Tensor:
        first, second = log_p.topk(2, dim=-1).values.unbind(-1)
        return -first.expm1() + second.exp()


class Varentropy(Form):
    """Σ p (ln p + H)² (nats²), the variance of the surprisal; 0 for uniform predictions too."""

    prefix = "varentropy"

    def values(self, log_p: Tensor) -> Tensor:
        p = log_p.exp()
        return (p * (log_p + entropy_of(log_p)[:, None]).square()).sum(-1)


FORMS: dict[str, type[Form]] = {
    form.prefix: form for form in (NormalisedEntropy, TopKEntropy, Variance, CollisionEntropy, Margin, Varentropy)
}


def _variance(log_p: Tensor) -> Tensor:
    """1 − Σ p² as Σ p (1 − p): nothing cancels, however certain the prediction."""
    from torch.linalg import vecdot

    return vecdot(log_p.exp(), -log_p.expm1())
