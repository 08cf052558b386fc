"""Forgetting and its price in one number, as ETW reports it (arXiv 2604.17785, main table).

Agg. = −log10 FQ × ΔMU reproduces every published row. A product hides its factors: without loss of utility it
says nothing about forgetting, so it is undefined there (our choice).
"""

from lethe.metrics import Value


def delta_mu(full: Value, model: Value) -> Value:
    """Utility lost against the full model, 100 · (MU_full − MU), percentage points; negative if gained."""
    for name, value in (("full model", full), ("model", model)):
        if value.value is None:
            return Value(None, f"utility of the {name}: {value.reason}")
    return Value(100 * (full.value - model.value))


def delta_mu_relative(full: Value, model: Value) -> Value:
    """Utility lost as a share of the full model's, 100 · (MU_full − MU) / MU_full, per cent; negative if gained."""
    lost = delta_mu(full, model)
    if lost.value is None:
        return lost
    if full.value == 0:
        return Value(None, "utility of the full model is 0: there is nothing to lose")
    return Value(lost.value / full.value)


def aggregate(neg_log10_fq: Value, delta_mu: Value) -> Value:
    """−log10 FQ × ΔMU; lower is better; undefined for ΔMU ≤ 0."""
    for name, value in (("neg_log10_fq", neg_log10_fq), ("delta_mu", delta_mu)):
        if value.value is None:
            return Value(None, f"{name}: {value.reason}")
    if delta_mu.value <= 0:
        return Value(None, "delta_mu is not above 0: no utility is lost, the product says nothing")
    return Value(neg_log10_fq.value * delta_mu.value)


def absolute(value: Value) -> Value:
    """|value|; an undefined value stays as it is."""
    return value if value.value is None else Value(abs(value.value), value.reason, value.counts)
