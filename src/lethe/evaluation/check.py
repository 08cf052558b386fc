"""Does a study hold together? Unlearning means something only if there was something to unlearn.

The full model must know what is to be forgotten; the retain model, where there is one, must not, and forget quality
must tell them apart.
"""

import pandas as pd

from lethe.benchmarks.contract import Benchmark

SEPARATED = 0.01  # p-value below which full and retain model count as different


def check(runs: pd.DataFrame, benchmark: Benchmark) -> pd.DataFrame:
    """One row per model and split: what was required, what was found, and whether it holds.

    Columns: model, split, full_prob, retain_prob (`headline.known`), full_fq (p-value), full_mu (utility), known,
    unknown, separated (bool; missing = cannot be checked: no retain model, or no such metric). What is undefined
    does not hold.
    """
    headline = benchmark.headline

    def of(row: pd.Series | None, name: str | None) -> float | None:
        return None if row is None or name is None else float(row[name])

    rows = []
    for (model, split), group in runs.groupby(["model", "split"], sort=False):
        full = group[group["method"] == "full"].iloc[0]
        retain = group[group["method"] == "retain"].iloc[0] if benchmark.has_retain_models else None
        knows, still = of(full, headline.known), of(retain, headline.known)
        p = of(full, headline.apart if benchmark.has_retain_models else None)
        rows.append(
            {
                "model": model,
                "split": split,
                "full_prob": knows,
                "retain_prob": still,
                "full_fq": p,
                "full_mu": of(full, headline.utility),
                "known": None if knows is None else knows > headline.knows,
                "unknown": None if still is None else still < headline.knows / 2,
                "separated": None if p is None else p < SEPARATED,
            }
        )
    numbers = {name: float for name in ("full_prob", "retain_prob", "full_fq", "full_mu")}
    return pd.DataFrame(rows).astype(numbers | {name: "boolean" for name in ("known", "unknown", "separated")})


def markdown(table: pd.DataFrame) -> str:
    """The check as a Markdown table, with a line that says what to do where it fails."""
    lines = [
        "| model | split | full model knows | retain model does not | told apart | full MU |",
        "|---|---|---|---|---|---|",
    ]

    def mark(holds: object, found: str) -> str:
        return "–" if pd.isna(holds) else f"{'✓' if holds else '✗'} {found}"

    for row in table.to_dict("records"):
        known = mark(row["known"], f"P = {row['full_prob']:.3f}")
        unknown = mark(row["unknown"], f"P = {row['retain_prob']:.3f}")
        apart = mark(row["separated"], f"FQ p = {row['full_fq']:.2g}")
        lines.append(f"| {row['model']} | {row['split']} | {known} | {unknown} | {apart} | {row['full_mu']:.3f} |")
    checks = table[["known", "unknown", "separated"]]
    if checks.isna().any(axis=None):
        lines += ["", "–: cannot be checked: the benchmark has no retain model, or no such metric."]
    if not checks.fillna(True).all(axis=None):
        lines += [
            "",
            "✗: the study cannot show unlearning there. Train longer (`finetune.epochs`, `finetune.learning_rate`), "
            "use a larger forget split, or look for forget facts that the base model already knows.",
        ]
    return "\n".join(lines) + "\n"
