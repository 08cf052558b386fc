"""Is the difference to another method more than chance? Paired tests over seeds, and over forget samples.

Asked for by ETW's reviewers (docs/choices.md#significance). The paper compares single runs. Seeds are few and samples
are many, so both are tested: seeds say whether training again would show it, samples whether other
questions would, authors being the units that questions come in.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from lethe.analysis.auc import interval, resamples
from lethe.benchmarks import BENCHMARKS
from lethe.benchmarks.contract import Benchmark
from lethe.benchmarks.prepared import read_data
from lethe.errors import InputError
from lethe.evaluation.chosen import notes, read_chosen
from lethe.evaluation.runs import read_runs
from lethe.io import read_table, require
from lethe.tables.main import REFERENCES
from lethe.tables.render import Column, Layout, stacked, write
from lethe.target import Target

LEVEL = 0.05
# A sign test on n clusters cannot fall below 2/2^n: 0.0625 for 5 and 0.031 for 6, so fewer than 6 cannot show a
# difference at LEVEL. The percentile interval would not tell: that of 2 clusters reaches from one mean to the other,
# and leaves out 0 half of the time where there is no effect.
LEAST_CLUSTERS = 6


def make(source, settings, target: Target) -> None:
    """From runs, samples, data and what the searches chose, the tests over seeds and those over samples."""
    method, search = settings.method, notes(read_chosen(source.chosen), settings.tried)
    benchmark = BENCHMARKS[settings.task]
    probes = read_data(source.data[0]).probes
    groups = {probe.id: probe.group for probe in probes if probe.set == benchmark.headline.probes}
    seeds = headed(seed_table(read_runs(source.runs), method, benchmark), benchmark)
    by_sample = {
        place: sample_table(read_table(path), groups, method, benchmark, settings.bootstrap, settings.seed)
        for place, path in zip(settings.places, source.samples, strict=True)
    }
    write(seeds, target.stem("seeds"), seed_layout(method, len(settings.seeds), search), target.origin)
    samples = headed(stacked(by_sample, ["model", "split"]), benchmark)
    write(samples, target.stem("samples"), sample_layout(method, settings.bootstrap, benchmark, search), target.origin)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down correction of a family of p-values; NaN stays NaN and does not count as a member."""
    p = np.asarray(p, float)
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN sorts last
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.maximum.accumulate(steps).clip(max=1.0)
    return corrected


def matched_rank_biserial(differences: np.ndarray) -> float:
    """(W₊ − W₋) / (W₊ + W₋) of the signed ranks, zeros left out (Kerby 2014); NaN if all are zero."""
    differences = differences[differences != 0]
    ranks = stats.rankdata(np.abs(differences))
    return float((np.sign(differences) * ranks).sum() / ranks.sum()) if len(ranks) else np.nan


def _wilcoxon(differences: np.ndarray) -> float:
    """Two-sided p of the signed-rank test, zeros left out; NaN if all are zero."""
    return float(stats.wilcoxon(differences).pvalue) if np.any(differences != 0) else np.nan


def _direction(difference: float, shown: bool) -> str:
    return ("lower" if difference < 0 else "higher") if shown else "not shown"


def seed_table(runs: pd.DataFrame, method: str, benchmark: Benchmark) -> pd.DataFrame:
    """Paired tests over seeds of a method against each other one, for each model, split and metric.

    Args:
        runs: one row per (model, split, method, seed); NaN and infinite values are undefined.
        method: the method that the others are compared with.
        benchmark: whose `by_seed` is tested.

    Returns:
        Columns model, split, metric, other; seeds (common to both), pairs (of them, with both values defined);
        mean_difference (method − other, in the metric's unit) and sd_difference; t_p, t_holm (paired t-test),
        wilcoxon_p, wilcoxon_holm (signed ranks; corrected over the other methods of a model, split and metric);
        d_z (mean / sd of the differences), rank_biserial; holds ("lower", "higher": t_holm < 0.05; else "not shown");
        reason (why something is undefined).

    Raises:
        InputError: if the method or a metric is missing.
    """
    require(runs, ["model", "split", "method", "seed", *benchmark.by_seed], "runs table")
    if method not in set(runs["method"]):
        raise InputError(f"runs table: no run of method '{method}'; name one of {sorted(set(runs['method']))}.")
    rows = []
    for (model, split), group in runs[~runs["method"].isin(REFERENCES)].groupby(["model", "split"], sort=False):
        others = [name for name in group["method"].unique() if name != method]
        present = group.assign(present=True).pivot(index="seed", columns="method", values="present").notna()
        for metric in benchmark.by_seed:
            values = group.pivot(index="seed", columns="method", values=metric).astype(float)
            family = []
            for other in others:
                common = present[method] & present[other]
                differences = (values[method] - values[other])[common].to_numpy()
                head = {"model": model, "split": split, "metric": metric, "other": other, "seeds": len(differences)}
                family.append(head | _paired(differences[np.isfinite(differences)], len(differences)))
            for test in ("t", "wilcoxon"):
                for row, p in zip(family, holm([row[f"{test}_p"] for row in family]), strict=True):
                    row[f"{test}_holm"] = p
            for row in family:
                row["holds"] = _direction(row["mean_difference"], row["t_holm"] < LEVEL)
            rows += family
    columns = [
        "model",
        "split",
        "metric",
        "other",
        "seeds",
        "pairs",
        "mean_difference",
        "sd_difference",
        "t_p",
        "t_holm",
    ]
    columns += ["wilcoxon_p", "wilcoxon_holm", "d_z", "rank_biserial", "holds", "reason"]
    return pd.DataFrame(rows, columns=columns).astype({"reason": "string"})


def _paired(differences: np.ndarray, seeds: int) -> dict:
    """Statistics of the defined differences of the common seeds."""
    n, nan = len(differences), np.nan
    reasons = [f"{seeds - n} of {seeds} pairs undefined"] * (n < seeds)
    mean = float(differences.mean()) if n else nan
    sd = float(differences.std(ddof=1)) if n > 1 else nan
    t_p = wilcoxon_p = d_z = rank = nan
    if n < 2:
        reasons.append("fewer than 2 common seeds with a value")
    else:
        wilcoxon_p, rank = _wilcoxon(differences), matched_rank_biserial(differences)
        # Rounding leaves a spread of 1e-17 in differences that are equal.
        if sd > 1e-12 * np.abs(differences).max():
            t_p, d_z = float(stats.ttest_1samp(differences, 0).pvalue), mean / sd
        else:
            reasons.append("differences do not vary: no t-test" if mean else "all differences are 0: no test")
    return {
        "pairs": n,
        "mean_difference": mean,
        "sd_difference": sd,
        "t_p": t_p,
        "wilcoxon_p": wilcoxon_p,
        "d_z": d_z,
        "rank_biserial": rank,
        "reason": "; ".join(reasons) or None,
    }


def sample_values(samples: pd.DataFrame, benchmark: Benchmark) -> pd.DataFrame:
    """Per-sample values of the set to forget, of one model and split, averaged over the seeds of each method.

    Args:
        samples: per-sample table with column run = "full", "retain" or "<method>/seed<n>".
        benchmark: whose `by_sample` is taken.

    Returns:
        Index sample, columns (metric of `by_sample`, method). A value that is undefined in any seed is NaN.
    """
    require(samples, ["set", "sample", "run"], "samples table")
    rows = samples[samples["set"] == benchmark.headline.probes]
    found = {name: metric.of(rows) for name, metric in benchmark.by_sample.items()}
    rows = rows[["sample", "run"]].assign(**found, method=rows["run"].str.partition("/seed")[0])
    rows = rows[~rows["method"].isin(REFERENCES)].replace([np.inf, -np.inf], np.nan)
    values = rows.groupby(["sample", "method"], sort=False)[list(benchmark.by_sample)]
    # Not mean(skipna=False), which pandas has from 3.0 on only.
    complete = values.count().eq(values.size(), axis=0)
    return values.mean().where(complete).unstack("method")


def clustered_interval(values: np.ndarray, cluster: np.ndarray, bootstrap: int, seed: int) -> tuple[float, float]:
    """95 % percentile interval of the mean of [n] values when whole clusters (author of each, [n]) are drawn.

    (NaN, NaN) with fewer than LEAST_CLUSTERS clusters or without resamples.
    """
    code, names = pd.factorize(cluster)
    if len(names) < LEAST_CLUSTERS:
        return np.nan, np.nan
    counts = resamples(len(names), bootstrap, seed)  # [1 + B, clusters]
    _, low, high = interval((counts @ np.bincount(code, weights=values)) / (counts @ np.bincount(code)))
    return float(low), float(high)


def sample_table(
    samples: pd.DataFrame,
    groups: Mapping[str, str],
    method: str,
    benchmark: Benchmark,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Paired tests over forget samples of a method against each other one, for one model and split.

    Args:
        samples: see `sample_values`.
        groups: sample -> author.
        method: the method that the others are compared with.
        benchmark: see `sample_values`.
        bootstrap: resamples of the authors.
        seed: of the resamples.

    Returns:
        Columns metric, other; samples (with both values), undefined (without), authors; mean_difference (method −
        other), low, high (95 % interval by authors, not corrected; NaN with fewer than LEAST_CLUSTERS authors);
        wilcoxon_p (signed ranks over samples), holm (corrected over the other methods of a metric); rank_biserial;
        holds ("lower", "higher": the interval leaves out 0 and holm < 0.05; else "not shown", so always without an
        interval); reason (why something is undefined).
    """
    values = sample_values(samples, benchmark)
    authors = values.index.map(groups).to_numpy()
    rows = []
    for metric in benchmark.by_sample:
        family = []
        for other in [name for name in values[metric].columns if name != method]:
            difference = (values[metric][method] - values[metric][other]).to_numpy(float)
            defined = np.isfinite(difference)
            d, author = difference[defined], authors[defined]
            clusters = len(set(author))
            low, high = clustered_interval(d, author, bootstrap, seed)
            reasons = ["no sample with both values"] * (not len(d))
            if 0 < clusters < LEAST_CLUSTERS:
                reasons.append(f"authors: {clusters}, at least {LEAST_CLUSTERS} needed for an interval")
            reasons += ["all differences are 0: no test"] * (len(d) > 0 and not d.any())
            family.append(
                {
                    "metric": metric,
                    "other": other,
                    "samples": len(d),
                    "undefined": int((~defined).sum()),
                    "authors": clusters,
                    "mean_difference": d.mean() if len(d) else np.nan,
                    "low": low,
                    "high": high,
                    "wilcoxon_p": _wilcoxon(d),
                    "rank_biserial": matched_rank_biserial(d),
                    "reason": "; ".join(reasons) or None,
                }
            )
        for row, p in zip(family, holm([row["wilcoxon_p"] for row in family]), strict=True):
            outside = row["low"] > 0 or row["high"] < 0
            row |= {"holm": p, "holds": _direction(row["mean_difference"], p < LEVEL and outside)}
        rows += family
    columns = [
        "metric",
        "other",
        "samples",
        "undefined",
        "authors",
        "mean_difference",
        "low",
        "high",
        "wilcoxon_p",
        "holm",
    ]
    return pd.DataFrame(rows, columns=[*columns, "rank_biserial", "holds", "reason"]).astype({"reason": "string"})


KEYS = {
    "model": Column("model"),
    "split": Column("split"),
    "metric_heading": Column("metric"),
    "other": Column("against"),
}
LAST = {"holds": Column("difference"), "reason": Column("remark", missing="", wide=True)}


def headed(table: pd.DataFrame, benchmark: Benchmark) -> pd.DataFrame:
    """The table with a column metric_heading: the metric's name for readers, with an arrow to where it is better."""
    names = {name: benchmark.metrics[name].title(name) for name in benchmark.by_seed}
    names |= {name: f"{metric.heading} ↓" for name, metric in benchmark.by_sample.items()}
    return table.assign(metric_heading=table["metric"].map(names))


def seed_layout(method: str, seeds: int, search: tuple[str, ...] = ()) -> Layout:
    """How the table over seeds is set; `search` is `lethe.evaluation.chosen.notes`."""
    columns = {
        "pairs": Column("seeds", ".0f"),
        "mean_difference": Column(f"{method} − other", ".3g", spread="sd_difference"),
        "t_p": Column("p (t)", ".2g"),
        "t_holm": Column("Holm (t)", ".2g"),
        "wilcoxon_p": Column("p (Wilcoxon)", ".2g"),
        "wilcoxon_holm": Column("Holm (Wilcoxon)", ".2g"),
        "d_z": Column("d_z", ".2f"),
        "rank_biserial": Column("rank-biserial", ".2f"),
    }
    return Layout(
        f"{method} against each other method, paired over seeds.",
        KEYS | columns | LAST,
        (
            "Mean ± standard deviation of the differences, paired t-test and two-sided Wilcoxon signed-rank test; "
            "Holm: corrected over all methods of a model, split and metric. d_z: mean by standard deviation of the "
            "differences; rank-biserial: matched pairs.",
            f"difference: {method} is lower or higher by the corrected t-test at {LEVEL}; otherwise a difference is "
            "not shown, which does not mean that there is none. Arrows: where the metric is better.",
            f"With n seeds the two-sided Wilcoxon test cannot fall below 2/2^n: {2 / 2**seeds:.3g} for the study's "
            f"{seeds}; 0.0625 for 5, 0.031 for 6. The t-test has n − 1 degrees of freedom; with fewer than 2 common "
            "seeds nothing is tested.",
            *search,
        ),
        ("model", "split", "metric_heading"),
    )


def sample_layout(method: str, bootstrap: int, benchmark: Benchmark, search: tuple[str, ...] = ()) -> Layout:
    """How the table over samples is set; `search` is `lethe.evaluation.chosen.notes`."""
    columns = {
        "samples": Column("samples", ".0f"),
        "undefined": Column("undefined", ".0f"),
        "authors": Column("authors", ".0f"),
        "mean_difference": Column(f"{method} − other", ".3f", interval=("low", "high")),
        "wilcoxon_p": Column("p (Wilcoxon)", ".2g"),
        "holm": Column("Holm", ".2g"),
        "rank_biserial": Column("rank-biserial", ".2f"),
    }
    return Layout(
        f"{method} against each other method, paired over forget samples.",
        KEYS | columns | LAST,
        (
            " ".join(
                [
                    "Values of a sample are averaged over seeds first; a seed's luck is averaged too, but not tested.",
                    *(metric.note for metric in benchmark.by_sample.values() if metric.note),
                ]
            ),
            f"Brackets: 95 % percentile interval of the mean difference, {bootstrap} bootstrap resamples of authors, "
            "not corrected; with few authors it is too narrow. With fewer than "
            f"{LEAST_CLUSTERS} there is none: a sign test on n authors cannot fall below 2/2^n, and "
            f"{2 / 2 ** (LEAST_CLUSTERS - 1):.4g} is above {LEVEL}. The Wilcoxon test takes samples as independent; "
            "Holm: corrected over all methods of a model, split and metric.",
            f"difference: {method} is lower or higher where the interval leaves out 0 and the corrected p is below "
            f"{LEVEL}; otherwise, and always without an interval, a difference is not shown, which does not mean that "
            "there is none. Arrows: where the metric is better.",
            *search,
        ),
        ("model", "split", "metric_heading"),
    )
