"""Names of forget and retain splits, as TOFU gives them."""

from lethe.errors import InputError


def retain_split(forget_split: str) -> str:
    """Name of the retain split that goes with a forget split: `forget10` -> `retain90` (TOFU's names)."""
    digits = forget_split.removeprefix("forget")
    if forget_split == digits or not digits.isdigit() or not 0 < int(digits) < 100:
        raise InputError(f"'{forget_split}' is not a forget split; names are forgetNN with NN per cent, e.g. forget10.")
    return f"retain{100 - int(digits):02d}"
