"""Losses of unlearning methods the plain way: from the full logits, with a frozen copy of the starting model.

What locuslab/open-unlearning does is kept where it has the method (GA, GradDiff, WGA, SatImp, NPO, SimNPO, DPO, UNDIAL,
RMU), written anew from its description: the model's own mean loss is computed whether it is used or not; NPO, SimNPO
and DPO take token losses on the transposed (B, V, S) layout, the others on the flat (B·S, V) one; a copy is run anew in
every step. TNPO and WTNPO (Wang et al. 2025, arXiv 2502.19301) run one as their authors' code does; Imp, SCN, SCE and
ETW are what one would write beside them. In the plain way's favour, a model's outputs are let go as soon as the loss is
there, while the framework holds them, with the graph of the unused mean loss, until the retain pass is done.

Definitions are Lethe's, or there would be nothing to compare. Where that departs from the framework, a comment says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid
from transformers import PreTrainedModel

Batch = dict[str, Tensor]
"""input_ids, attention_mask and labels, [B, S] each; a label of −100 bears no loss."""


@dataclass
class PlainStep:
    """What a plain step has at hand.

    Attributes:
        model: the one that is trained.
        copied: frozen copy of the starting model; None for methods that hold none.
        forget, retain, refusals: batches; a refusal answers the question of the forget row of its number.
        nouns, entities: [B, S−1] whether a parser marks the next token as a noun, as part of a named entity.
        temperature: T of ETW's entropy.
        layer: decoder layer that RMU steers, from 0.
        control: [H] control vector of RMU.
    """

    model: PreTrainedModel
    copied: PreTrainedModel | None
    forget: Batch
    retain: Batch
    refusals: Batch
    nouns: Tensor
    entities: Tensor
    temperature: float
    layer: int
    control: Tensor


# --- per-token losses ---------------------------------------------------------------------------------------------


def labelled(batch: Batch) -> Tensor:
    """[B, S−1] whether the next token bears loss."""
    return batch["labels"][:, 1:] != -100


def token_losses(model: PreTrainedModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """On the flat layout: [B, S−1] cross-entropy of each next token, nats, 0 at ignored ones; [B, S−1, V] logits."""
    outputs = model(**batch)
    logits, labels = outputs.logits[:, :-1].contiguous().float(), batch["labels"][:, 1:]
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels), logits


def sequence_losses(model: PreTrainedModel, batch: Batch) -> Tensor:
    """[B] summed cross-entropy of each sequence, nats, on the transposed layout."""
    outputs = model(**batch)
    logits = outputs.logits[:, :-1].contiguous()
    return cross_entropy(logits.transpose(1, 2).float(), batch["labels"][:, 1:], reduction="none").sum(-1)


def weighted_ascent(weights: Tensor, losses: Tensor, batch: Batch) -> Tensor:
    return -(weights * losses)[labelled(batch)].mean()


# --- methods that weigh tokens ------------------------------------------------------------------------------------


def ascent(step: PlainStep) -> Tensor:
    return -step.model(**step.forget).loss


def wga(step: PlainStep) -> Tensor:
    losses, _ = token_losses(step.model, step.forget)
    return weighted_ascent((-losses).exp().detach(), losses, step.forget)


def imp(step: PlainStep) -> Tensor:
    losses, _ = token_losses(step.model, step.forget)
    return weighted_ascent(1 - (-losses).exp().detach(), losses, step.forget)


def satimp(step: PlainStep, beta1: float = 5.0, beta2: float = 1.0) -> Tensor:
    losses, _ = token_losses(step.model, step.forget)
    p = (-losses).exp().detach()
    return weighted_ascent(p**beta1 * (1 - p) ** beta2, losses, step.forget)


def tnpo(step: PlainStep) -> Tensor:
    losses, reference = with_reference(step)
    return weighted_ascent(npo_weights(losses, reference), losses, step.forget)


def wtnpo(step: PlainStep, alpha: float = 1.5) -> Tensor:
    losses, reference = with_reference(step)
    weights = npo_weights(losses, reference) * (-alpha * losses).exp().detach()
    return weighted_ascent(weights, losses, step.forget)


def with_reference(step: PlainStep) -> tuple[Tensor, Tensor]:
    """[B, S−1] token losses under the model and under the copy."""
    losses, _ = token_losses(step.model, step.forget)
    with torch.no_grad():
        reference, _ = token_losses(step.copied, step.forget)
    return losses, reference


def npo_weights(losses: Tensor, reference: Tensor, beta: float = 4.0) -> Tensor:
    """2 p^β / (p^β + p₀^β), where the authors' code adds 1e-5 to the denominator. Lethe does not, and p^β in fp32
    would be 0 for unlikely tokens; hence a sigmoid."""
    return 2 * torch.sigmoid(beta * (reference - losses)).detach()


def scn(step: PlainStep) -> Tensor:
    return masked_ascent(step, step.nouns)


def sce(step: PlainStep) -> Tensor:
    return masked_ascent(step, step.entities)


def masked_ascent(step: PlainStep, mask: Tensor) -> Tensor:
    losses, _ = token_losses(step.model, step.forget)
    return weighted_ascent(mask, losses, step.forget)


def etw(step: PlainStep) -> Tensor:
    losses, logits = token_losses(step.model, step.forget)
    mask = labelled(step.forget)
    with torch.no_grad():
        log_p = (logits / step.temperature).log_softmax(-1)  # [B, S−1, V]
        entropy = -(log_p.exp() * log_p).sum(-1) * mask
        weights = entropy * mask.sum(1, keepdim=True) / entropy.sum(1, keepdim=True)
    return weighted_ascent(weights, losses, step.forget)


# --- methods with an objective of their own -----------------------------------------------------------------------


def npo(step: PlainStep, beta: float = 0.1) -> Tensor:
    current = sequence_losses(step.model, step.forget)
    with torch.no_grad():
        reference = sequence_losses(step.copied, step.forget)
    return (-2 / beta * logsigmoid(beta * (current - reference))).mean()


def simnpo(step: PlainStep, beta: float = 0.1, delta: float = 0.0) -> Tensor:
    mean = sequence_losses(step.model, step.forget) / labelled(step.forget).sum(1)
    return (-2 / beta * logsigmoid(beta * (mean - delta))).mean()


def idk_dpo(step: PlainStep, beta: float = 0.1) -> Tensor:
    ratios = []  # ln p − ln p₀ of the refusals, then of the answers
    for batch in (step.refusals, step.forget):
        current = sequence_losses(step.model, batch)
        with torch.no_grad():
            reference = sequence_losses(step.copied, batch)
        ratios.append(reference - current)
    return (-2 / beta * logsigmoid(beta * (ratios[0] - ratios[1]))).mean()


def undial(step: PlainStep) -> Tensor:
    """Cross-entropy of the copy's soft labels. The framework also averages over prompt and padding, Lethe does not;
    and Lethe's loss is a divergence, see `undial_entropy`."""
    outputs = step.model(**step.forget)
    logits = outputs.logits[:, :-1].contiguous().float()
    with torch.no_grad():
        soft = soft_labels(step)
    losses = cross_entropy(logits.flatten(0, 1), soft.flatten(0, 1), reduction="none")
    return losses[labelled(step.forget).flatten()].mean()


def soft_labels(step: PlainStep, beta: float = 10.0) -> Tensor:
    """[B, S−1, V] the copy's predictions with β off the logit of each gold token."""
    logits = step.copied(**step.forget).logits[:, :-1].contiguous().float()
    gold = step.forget["labels"][:, 1:, None].clamp(min=0)  # any word will do where there is no label
    return (logits - beta * torch.zeros_like(logits).scatter_(-1, gold, 1.0)).softmax(-1)


@torch.no_grad()
def undial_entropy(step: PlainStep) -> Tensor:
    """Mean entropy of the soft labels, nats: a constant, by which the cross-entropy exceeds Lethe's KL(q ‖ p)."""
    soft = soft_labels(step)
    return torch.special.entr(soft).sum(-1)[labelled(step.forget)].mean()


def rmu(step: PlainStep) -> Tensor:
    """Lethe's positions, which predict the answer tokens (the framework: the answer tokens' own), and its mean over
    each sequence (which the framework means, but breaks by broadcasting)."""
    states, mask = layer_output(step.model, step.forget, step.layer), labelled(step.forget)
    distance = (states - step.control).square().mean(-1)[:, :-1]  # [B, S−1]
    return ((distance * mask).sum(1) / mask.sum(1)).mean()


def layer_output(model: PreTrainedModel, batch: Batch, layer: int) -> Tensor:
    """[B, S, H] output of a decoder layer; the whole model is run, logits and mean loss included."""
    kept: list[Tensor] = []
    handle = model.model.layers[layer].register_forward_hook(lambda module, inputs, output: kept.append(output))
    model(**batch)
    handle.remove()
    return kept[0]


# --- retain terms -------------------------------------------------------------------------------------------------


def nll(step: PlainStep) -> Tensor:
    return step.model(**step.retain).loss


def embed_diff(step: PlainStep) -> Tensor:
    """Mean over the batch's tokens, as Lethe's; positions as in `rmu`."""
    states = layer_output(step.model, step.retain, step.layer)
    with torch.no_grad():
        reference = layer_output(step.copied, step.retain, step.layer)
    return (states - reference).square().mean(-1)[:, :-1][labelled(step.retain)].mean()


Loss = Callable[[PlainStep], Tensor]

FORGET: dict[str, Loss] = {
    "GA": ascent,
    "GradDiff": ascent,
    "WGA": wga,
    "TNPO": tnpo,
    "WTNPO": wtnpo,
    "Imp": imp,
    "SatImp": satimp,
    "SCN": scn,
    "SCE": sce,
    "ETW": etw,
    "NPO": npo,
    "SimNPO": simnpo,
    "IdkDPO": idk_dpo,
    "UNDIAL": undial,
    "RMU": rmu,
}
RETAIN: dict[str, Loss | None] = {"GA": None, "RMU": embed_diff}
"""Retain terms that are not `nll`; None runs no retain pass."""
COPIES = ("WGA", "SatImp", "TNPO", "WTNPO", "NPO", "IdkDPO", "UNDIAL", "RMU")
"""Methods that hold a frozen copy of the starting model; the first two never run it."""
CONSTANTS: dict[str, Loss] = {"UNDIAL": undial_entropy}
"""What a loss contains that Lethe's does not: constants of the starting model, taken once outside of the step."""
