"""All retain terms by name; the contract is in `lethe.methods.contract`. To add one: a file here and a line below."""

from lethe.methods.contract import RetainTerm
from lethe.retain.embed_diff import EmbedDiff
from lethe.retain.kl import KL
from lethe.retain.nll import NLL
from lethe.retain.none import NoRetain

RETAIN_TERMS: dict[str, type[RetainTerm]] = {"none": NoRetain, "nll": NLL, "kl": KL, "embed_diff": EmbedDiff}

__all__ = ["RETAIN_TERMS", "RetainTerm"]
