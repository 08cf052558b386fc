"""What is left of the model: one number from nine (TOFU, arXiv 2401.06121, model utility).

The harmonic mean is low as soon as one part is, and 0 when one is 0, which is why that part is named.
"""

from collections.abc import Mapping, Sequence

from scipy.stats import hmean

from lethe.metrics import Value

NINE = (
    "retain_Q_A_Prob",
    "retain_Q_A_ROUGE",
    "retain_Truth_Ratio",
    "ra_Q_A_Prob_normalised",
    "ra_Q_A_ROUGE",
    "ra_Truth_Ratio",
    "wf_Q_A_Prob_normalised",
    "wf_Q_A_ROUGE",
    "wf_Truth_Ratio",
)

TEACHER_FORCED = tuple(name for name in NINE if not name.endswith("ROUGE"))
"""The six that need no generation; for utility during training (ours)."""


def model_utility(parts: Mapping[str, Value], names: Sequence[str] = NINE) -> Value:
    """Harmonic mean of the named parts; 0, with the culprits as a remark, if any is 0; undefined if any is.

    Args:
        parts: values by name; other names are ignored.
        names: the nine of TOFU, or `TEACHER_FORCED`.
    """
    undefined = [f"{name}: {parts[name].reason}" for name in names if parts[name].value is None]
    if undefined:
        return Value(None, "; ".join(undefined))
    zero = [name for name in names if parts[name].value == 0]
    if zero:
        return Value(0.0, f"0 because of {', '.join(zero)}")
    return Value(float(hmean([parts[name].value for name in names])))
