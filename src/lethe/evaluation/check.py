"""Does a study hold together? Unlearning means something only if there was something to unlearn.

The full model must know the forget split, the retain model must not, and forget quality must tell them apart.
"""

import pandas as pd

KNOWN = 0.8  # forget probability above which the full model counts as knowing the forget split
SEPARATED = 0.01  # p-value below which full and retain model count as different


def check(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per model and split: what was required, what was found, and whether it holds.

    Columns: model, split, full_prob, retain_prob (mean forget-answer probabilities), full_fq (p-value), full_mu,
    known, unknown, separated (bool).
    """
    rows = []
    for (model, split), group in runs.groupby(["model", "split"], sort=False):
        full, retain = (group[group["method"] == who].iloc[0] for who in ("full", "retain"))
        rows.append(
            {
                "model": model,
                "split": split,
                "full_prob": full["forget_Q_A_Prob"],
                "retain_prob": retain["forget_Q_A_Prob"],
                "full_fq": full["forget_quality"],
                "full_mu": full["model_utility"],
                "known": full["forget_Q_A_Prob"] > KNOWN,
                "unknown": retain["forget_Q_A_Prob"] < KNOWN / 2,
                "separated": full["forget_quality"] < SEPARATED,
            }
        )
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """The check as a Markdown table, with a line that says what to do where it fails."""
    lines = [
        "| model | split | full model knows | retain model does not | told apart | full MU |",
        "|---|---|---|---|---|---|",
    ]

    def mark(holds: bool) -> str:
        return "✓" if holds else "✗"

    for row in table.to_dict("records"):
        lines.append(
            f"| {row['model']} | {row['split']} | {mark(row['known'])} P = {row['full_prob']:.3f} "
            f"| {mark(row['unknown'])} P = {row['retain_prob']:.3f} "
            f"| {mark(row['separated'])} FQ p = {row['full_fq']:.2g} | {row['full_mu']:.3f} |"
        )
    if not table[["known", "unknown", "separated"]].all(axis=None):
        lines += [
            "",
            "✗: the study cannot show unlearning there. Train longer (`finetune.epochs`, `finetune.learning_rate`), "
            "use a larger forget split, or look for forget facts that the base model already knows.",
        ]
    return "\n".join(lines) + "\n"
