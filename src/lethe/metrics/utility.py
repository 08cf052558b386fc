"""What is left of the model: one number from several (TOFU, arXiv 2401.06121, model utility).

The harmonic mean is low as soon as one part is, and 0 when one is 0, which is why that part is named.
"""

from collections.abc import Mapping

from lethe.metrics import Value


def harmonic_mean(parts: Mapping[str, Value]) -> Value:
    """Harmonic mean of the parts; 0, with the culprits as a remark, if any is 0; undefined if any is."""
    from scipy.stats import hmean  # slow to import, and the workflow plans without it

    undefined = [f"{name}: {part.reason}" for name, part in parts.items() if part.value is None]
    if undefined:
        return Value(None, "; ".join(undefined))
    zero = [name for name, part in parts.items() if part.value == 0]
    if zero:
        return Value(0.0, f"0 because of {', '.join(zero)}")
    return Value(float(hmean([part.value for part in parts.values()])))
