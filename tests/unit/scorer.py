"""A weighting with a linear scorer, as small as one that learns, logs, records and keeps can be; for several tests."""

import torch
from pydantic import Field

from lethe.methods.contract import Run, Score, TokenBatch, Weigher


class LinearScore(Score):
    """Toy: ω = σ(w·h + c), h the hidden state that predicts the token; shares the objective's loss, held near b."""

    information = ("training signal",)
    budget: float = Field(0.3, description="b.")

    def weights(self, batch: TokenBatch) -> torch.Tensor:
        return torch.full_like(batch.logprob, 0.5)  # at the start, where w = c = 0

    def start(self, run: Run) -> Weigher:
        return LinearScorer(self, run)


class LinearScorer(Weigher):
    def __init__(self, weighting: LinearScore, run: Run):
        self.weighting, self.run = weighting, run
        self.layer = torch.nn.Linear(run.hidden_size, 1)
        torch.nn.init.zeros_(self.layer.weight)
        torch.nn.init.zeros_(self.layer.bias)
        self.optimizer = torch.optim.SGD(self.layer.parameters(), lr=0.5, momentum=0.9)
        self.tokens = self.sum = 0.0

    def logits(self, batch: TokenBatch) -> torch.Tensor:
        return self.layer(batch.hidden_states[batch.sequence, batch.position].float()).squeeze(-1)

    def weights(self, batch: TokenBatch) -> torch.Tensor:
        return self.logits(batch).sigmoid()

    def parameters(self):
        return self.layer.parameters()

    def learn(self, batch, forget_loss) -> None:
        assert batch.training
        weights = self.weights(batch)
        budget = (weights - self.weighting.budget).square().sum() / batch.step_tokens
        (0.01 * forget_loss(weights) + budget).backward()
        self.sum += weights.sum().item()
        self.tokens += len(weights)

    def update(self, step: int) -> None:
        self.layer.weight.grad += 0.01 * self.layer.weight.detach()  # not of the tokens, so once a step
        self.optimizer.step()
        self.optimizer.zero_grad()

    def log(self) -> dict[str, float]:
        mean = self.run.total(self.sum) / self.run.total(self.tokens)
        self.tokens = self.sum = 0.0
        return {"score_mean": mean, "score_bias": self.layer.bias.item()}

    def scores(self, batch: TokenBatch) -> dict[str, torch.Tensor]:
        return {"score": self.logits(batch)}

    def state(self) -> dict[str, torch.Tensor]:
        return self.layer.state_dict()
