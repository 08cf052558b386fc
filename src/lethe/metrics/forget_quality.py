"""Whether the model can be told from one that never saw the forget data (TOFU, arXiv 2401.06121).

Forget quality is the p-value of a two-sample Kolmogorov-Smirnov test between per-sample truth ratios.
Published values lie on the lattice D = k/n of the *exact* test, so no other version of it will do.
"""

import math

import numpy as np

from lethe.metrics import Value


def forget_quality(model: np.ndarray, retain: np.ndarray) -> tuple[Value, Value]:
    """(p, −log10 p) of the exact two-sided KS test.

    A p-value below the smallest normal double (from about 520 samples on) is stored as 0 with a remark, while
    −log10 p stays exact, from the logarithm of the test's leading term.

    Args:
        model, retain: [S] truth ratios of the same samples in the same order, not the min form. Samples that
            are NaN on either side are dropped from both and counted, so that both sides keep the same size.
    """
    from scipy.stats import ks_2samp  # slow to import, and the workflow plans without it

    model, retain = (np.asarray(ratios, dtype=np.float64) for ratios in (model, retain))
    defined = np.isfinite(model) & np.isfinite(retain)
    counts = {"samples": int(defined.sum()), "dropped": int((~defined).sum())}
    if not defined.any():
        nothing = Value(None, "no forget sample has a truth ratio under both the model and the retain model", counts)
        return nothing, nothing
    test = ks_2samp(model[defined], retain[defined], method="auto")  # exact up to 10,000 samples
    p = float(test.pvalue)
    if p >= np.finfo(np.float64).tiny:
        return Value(p, counts=counts), Value(max(0.0, -math.log10(p)), counts=counts)
    exponent = -_log10_leading_term(counts["samples"], float(test.statistic))
    return Value(0.0, f"p-value underflows: it is 10^-{exponent:.1f}", counts), Value(exponent, counts=counts)


def _log10_leading_term(n: int, statistic: float) -> float:
    """log10 of 2 · C(2n, n − h) / C(2n, n), h = n · D: first term of the exact p-value for two sides of n.

    The next term is about the fourth power of this one (Hodges 1958, Ark. Mat. 3, 469-486): nothing where
    this is used, below 1e-308.
    """
    from scipy.special import gammaln

    h = round(n * statistic)
    natural = math.log(2) + 2 * gammaln(n + 1) - gammaln(n - h + 1) - gammaln(n + h + 1)
    return float(natural / math.log(10))
