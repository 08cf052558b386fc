"""Which weightings can be followed over the epochs of the fine-tuning that makes the starting model.

What is recorded there is ln p and the entropy at `finetune_temperatures`: a weighting made of these has a curve in
`etw_memorisation`, with the study's own exponents; the others are named with the reason.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lethe.methods.contract import Weighting
from lethe.weightings.entropy import Entropy

if TYPE_CHECKING:
    from lethe.config import MethodConfig

ETW = "ETW"


class Curve(NamedTuple):
    """A line of the figure: name, and temperature of ETW's entropy (None for the others)."""

    score: str
    temperature: float | None = None


def weightings_of(methods: "Mapping[str, MethodConfig]") -> dict[str, Weighting]:
    """Every weighting of a study once, by the first method that has it, with the keys of it that are swept."""
    found: dict[str, Weighting] = {}
    for name, method in methods.items():
        for point, variant in (method.points() or {"": method}).items():
            # A point's id has a part for each swept key, in their order.
            parts = zip(method.sweep, point.split(",") if point else [], strict=True)
            own = ", ".join(part for key, part in parts if key.startswith("weighting."))
            label = f"{name} ({own})" if own else name
            if variant.weighting not in found.values():
                found[label] = variant.weighting
    return found


def why_not(weighting: Weighting, temperatures: Sequence[float]) -> str | None:
    """Why a weighting has no curve; None if it has one."""
    if not {"predictive distribution", "gold-token confidence"} & set(weighting.information):
        return "does not depend on the model"
    if weighting.reference:
        return "compares the model with itself as long as nothing is unlearned"
    if weighting.columns() or weighting.forms() or "training signal" in weighting.information:
        return "is made of what is not recorded while fine-tuning"
    if missing := set(weighting.temperatures()) - set(temperatures):
        return f"needs the entropy at T = {', '.join(f'{t:g}' for t in sorted(missing))}, not in finetune_temperatures"
    return None


def curves(methods: "Mapping[str, MethodConfig]", temperatures: Sequence[float]) -> dict[Curve, Weighting]:
    """ETW's weighting at each recorded temperature, and the study's other weightings that can be followed."""
    followed = {Curve(ETW, float(t)): Entropy(temperature=t) for t in temperatures}
    for name, weighting in weightings_of(methods).items():
        if not isinstance(weighting, Entropy) and why_not(weighting, temperatures) is None:
            followed[Curve(name)] = weighting
    return followed


def left_out(methods: "Mapping[str, MethodConfig]", temperatures: Sequence[float]) -> str:
    """The study's other weightings, with the reason, as a sentence for the caption; empty if there are none."""
    reasons: dict[str, list[str]] = {}
    for name, weighting in weightings_of(methods).items():
        reason = None if isinstance(weighting, Entropy) else why_not(weighting, temperatures)
        if reason is not None:
            reasons.setdefault(reason, []).append(name)
    parts = [f"what {reason} ({', '.join(names)})" for reason, names in reasons.items()]
    return f"Left out is {'; '.join(parts)}." if parts else ""
