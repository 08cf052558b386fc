"""Between which limits the entropy of a prediction lies once the probability of one token is known.

ETW (arXiv 2604.17785) argues that confidence does not fix entropy; the bounds are derived in
docs/choices.md#bounds-of-the-entropy.
Both follow from one identity. With p the probability of the gold token, h_b the binary entropy and H_rest the entropy
of what the other tokens share among them,

    H = h_b(p) + (1 − p) · H_rest,    0 ≤ H_rest ≤ ln(|V| − 1).

All arguments are log-probabilities, because p of a memorised token is 1 to the last digit.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lethe.errors import InputError
from lethe.io import read_json, require

# Below this surprisal an fp32 log-probability is rounding.
RESOLUTION = 1e-6
PER_DECADE = 5
FEWEST = 10


def minimum_entropy(logprob: np.ndarray) -> np.ndarray:
    """H_min(p) = −p ln p − (1 − p) ln(1 − p), nats: all the remaining mass on one other token.

    Args:
        logprob: ln p ≤ 0, nats, any shape; −inf is p = 0.
    """
    logprob = np.asarray(logprob, dtype=float)
    rest = -np.expm1(logprob)
    # Each factor that may be infinite stands beside one that is 0 there.
    return -np.exp(logprob) * np.maximum(logprob, -1e6) - rest * np.log(np.where(rest > 0, rest, 1.0))


def maximum_entropy(logprob: np.ndarray, vocabulary: int) -> np.ndarray:
    """H_max(p) = H_min(p) + (1 − p) ln(|V| − 1), nats: the remaining mass spread evenly.

    Args:
        logprob: ln p ≤ 0, nats, any shape.
        vocabulary: |V| ≥ 2, words that the model's output layer knows.
    """
    return minimum_entropy(logprob) - np.expm1(np.asarray(logprob, dtype=float)) * _widest(vocabulary)


def remaining_entropy(logprob: np.ndarray, entropy: np.ndarray) -> np.ndarray:
    """H_rest = (H − H_min(p)) / (1 − p), nats: entropy of the prediction given that the gold token does not come.

    NaN where p = 1, because then nothing remains; rounding may leave it a little outside [0, ln(|V| − 1)].
    """
    rest = -np.expm1(np.asarray(logprob, dtype=float))
    return (np.asarray(entropy, dtype=float) - minimum_entropy(logprob)) / np.where(rest > 0, rest, np.nan)


def spread(logprob: np.ndarray, entropy: np.ndarray, vocabulary: int) -> pd.DataFrame:
    """How far entropies differ at equal confidence, in narrow bins of p.

    Within a bin every token is carried to the bin's middle with its H_rest unchanged, so that nothing of the
    difference is owed to p. Bins divide each decade of −ln p into five; those with fewer than ten tokens, and tokens
    whose −ln p is below fp32's resolution (1e-6), are left out.

    Args:
        logprob: [n] ln p, nats.
        entropy: [n] H at T = 1, nats.
        vocabulary: |V|.

    Returns:
        One row per bin: surprisal (−ln p of the middle, nats), tokens, low and high (10th and 90th percentile of H,
        nats), ratio (high / low), possible (H_max / H_min at the middle, the greatest ratio there can be).
    """
    logprob, entropy = np.asarray(logprob, dtype=float), np.asarray(entropy, dtype=float)
    resolved = -logprob > RESOLUTION
    surprisal, rest = -logprob[resolved], remaining_entropy(logprob, entropy)[resolved]
    bins = np.floor(PER_DECADE * np.log10(surprisal)).astype(int)
    rows = []
    for number in np.unique(bins):
        inside = bins == number
        if inside.sum() < FEWEST:
            continue
        middle = 10 ** ((number + 0.5) / PER_DECADE)
        least, most = float(minimum_entropy(-middle)), float(maximum_entropy(-middle, vocabulary))
        carried = least - np.expm1(-middle) * np.clip(rest[inside], 0, _widest(vocabulary))
        low, high = np.percentile(carried, [10, 90])
        rows.append((middle, int(inside.sum()), low, high, high / low, most / least))
    return pd.DataFrame(rows, columns=["surprisal", "tokens", "low", "high", "ratio", "possible"])


def summary(table: pd.DataFrame, vocabulary: int) -> dict[str, float]:
    """One model's numbers: does confidence leave room for entropy, and is the room used?

    Args:
        table: token table with logprob and entropy_T1.0 (nats).
        vocabulary: |V|.

    Returns:
        vocabulary; tokens; undefined (without finite numbers; in no other count but `tokens`); unresolved (−ln p below
        1e-6); outside (H beyond the bounds by more than fp32's rounding; anything but 0 is a bug); bins and
        tokens_in_bins of `spread`; ratio and possible, their medians over the bins (NaN without bins).
    """
    require(table, ["logprob", "entropy_T1.0"], "token table")
    defined = np.isfinite(table[["logprob", "entropy_T1.0"]].to_numpy(float)).all(axis=1)
    logprob, entropy = table.loc[defined, "logprob"].to_numpy(float), table.loc[defined, "entropy_T1.0"].to_numpy(float)
    rounding = 1e-5 + 1e-4 * entropy
    outside = (entropy < minimum_entropy(logprob) - rounding) | (
        entropy > maximum_entropy(logprob, vocabulary) + rounding
    )
    bins = spread(logprob, entropy, vocabulary)
    return {
        "vocabulary": vocabulary,
        "tokens": len(table),
        "undefined": int((~defined).sum()),
        "unresolved": int((-logprob <= RESOLUTION).sum()),
        "outside": int(outside.sum()),
        "bins": len(bins),
        "tokens_in_bins": int(bins["tokens"].sum()),
        "ratio": float(bins["ratio"].median()),
        "possible": float(bins["possible"].median()),
    }


def vocabulary_size(folder: str | Path) -> int:
    """|V|, words that the output layer of a model in a folder knows, from its `config.json`.

    Raises:
        InputError: if the file does not say.
    """
    path = Path(folder) / "config.json"
    config = read_json(path)
    # Models of several modes keep their language model's numbers in a section of their own.
    config = config.get("text_config", config)
    if "vocab_size" not in config:
        raise InputError(f"{path}: no vocab_size; save the model with `save_pretrained`, which writes it.")
    return config["vocab_size"]


def _widest(vocabulary: int) -> float:
    """ln(|V| − 1), the greatest H_rest."""
    if vocabulary < 2:
        raise ValueError(f"a vocabulary of {vocabulary} leaves nothing to predict")
    return float(np.log(vocabulary - 1))
