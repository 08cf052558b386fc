"""Every configuration that a search tried, not only the one it chose.

The ETW paper reports best configurations and shows others in a figure (arXiv 2604.17785, Fig. 6); how they were chosen
is unknown (docs/choices.md#strength-search-and-selection), so here the rule and its seed stand under the table.
"""

from collections.abc import Iterable

from lethe.benchmarks import BENCHMARKS
from lethe.benchmarks.contract import Benchmark
from lethe.evaluation.runs import read_runs
from lethe.selection import RULES
from lethe.tables.render import Column, Layout, write
from lethe.target import Target


def make(source, settings, target: Target) -> None:
    """From the runs of every search, one table of them."""
    told = (settings.rule, settings.selection_seed, settings.seeds, BENCHMARKS[settings.task])
    write(read_runs(source.search), target.stem(), layout(*told), target.origin)


def layout(rule: str, seed: int, seeds: Iterable[int], benchmark: Benchmark) -> Layout:
    """How the rows of `search/…/runs.parquet` are set.

    Args:
        rule: `selection.rule`.
        seed: `selection.seed`, of the runs that are compared.
        seeds: those of the runs that are reported elsewhere.
        benchmark: whose main metrics are shown.
    """
    columns = {name: Column(name) for name in ("model", "split", "method", "point", "chosen")}
    metrics = {name: benchmark.metrics[name] for name in benchmark.main}
    columns |= {name: Column(metric.title(name), metric.form) for name, metric in metrics.items()}
    meaning = (RULES[rule].__doc__ or "").strip().splitlines()[0]
    return Layout(
        "Configurations that the searches tried.",
        columns,
        (
            f"Chosen by the rule {rule}: {meaning} Compared are single runs of seed {seed}, which is reported nowhere "
            f"else; the other tables report the chosen configuration with seeds {', '.join(map(str, seeds))}.",
        ),
        ("model", "split", "method"),
    )
