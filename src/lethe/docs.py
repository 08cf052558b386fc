"""Lists of targets and the picture of the graph in docs/targets.md, made from the rules and declarations themselves.

    python -m lethe.docs docs/targets.md

rewrites what stands between the markers and leaves the rest of the page alone; tests catch drift.
"""

import ast
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from lethe.errors import InputError
from lethe.exhibits import EXHIBITS, Exhibit
from lethe.io import write_text

ROOT = Path(__file__).resolve().parents[2]
MARKER = "<!-- {edge} {name}: written by `python -m lethe.docs docs/targets.md` -->"

PLACE = "<model>/<split>"
STAGES = {
    "prepare": ("", "data.json source.json", "rows, probes and splits in one form, checked; where they come from"),
    "base": ("<model>", "model/ source.json", "pretrained or scratch model as a plain folder"),
    "finetune": (
        "<model>/<data>",
        "model/ log.parquet epochs.parquet",
        "starting model (`full`) and retain models; what the starting model says of the forget rows at each epoch",
    ),
    "checkpoint": (
        "<model>/<data>",
        "model/ source.json",
        "the same for models of source `checkpoints`, in place of `base` and `finetune`",
    ),
    "tokens": (f"{PLACE}.parquet", "", "token table: a row per loss-bearing token of the forget rows"),
    "annotate": (f"{PLACE}.parquet", "", "`informative_<label>` of each label source"),
    "score": (f"{PLACE}.parquet", "", "`logprob`, `entropy_T<t>`, other uncertainty measures"),
    "parse": (f"{PLACE}.parquet", "", "`pos`, `noun_chunk`, `entity`, if a weighting reads them"),
    "embedding_noise": (
        f"{PLACE}.parquet",
        "",
        "`mutual_information`, with `embedding_noise` in the config or if a weighting reads it",
    ),
    "reference": (
        f"{PLACE}/<kept>.safetensors",
        "",
        "hidden states of the starting model, for `kl`, `embed_diff` and `undial`",
    ),
    "refuse": (f"{PLACE}.parquet", "", '"I don\'t know" answers with `logprob`, for `idk_dpo`'),
    "measure": (
        "<model>/<run>",
        "tokens.parquet generations.parquet cost.json",
        "what is measured on `full` and retain models, and on kept models whose measurement is out of date",
    ),
    "search": (
        f"{PLACE}/<method>",
        "runs.parquet chosen.json",
        "all trials of a swept method, and the configuration that is reported",
    ),
    "unlearn": (
        f"{PLACE}/<method>/seed<n>",
        "log.parquet weights.parquet tokens.parquet generations.parquet cost.json epoch_tokens.parquet "
        "epoch_generations.parquet model/",
        "one run, trained and measured; `epoch_…` with `measure.every`, `model/` with `keep_models`",
    ),
    "weigh": (f"{PLACE}.parquet", "", "the stages joined, and `weight_<method>` at the starting model"),
    "next_tokens": (f"{PLACE}.parquet", "", "the likeliest next words along one answer"),
    "evaluate": (
        PLACE,
        "samples.parquet runs.parquet summary.json",
        "every metric of every run; `summary.json` has units, and why what is undefined is so",
    ),
    "trajectory": (PLACE, "runs.parquet", "the same by epoch, with `measure.every`"),
    "check": ("", "check.csv check.md", "does the full model know what the retain model does not?"),
    "explore_tokens": ("", "pressed_tokens.csv", "the notebook `notebooks/tokens.ipynb`, run on the study"),
    "provenance": ("", "provenance.json", "resolved config, origins, versions, commit"),
}
"""Rule -> place below results/<study>/<rule>/, files there (none: the place is the file), and what they hold."""

EXISTS = {
    "significance": "with `compare`",
    "searches": "with a `sweep`",
    "trajectories": "with `measure.every`",
    "etw_fig5": "benchmark has Agg. and PrivLeak",
    "etw_fig7": "benchmark has retain models and forget probability",
    "etw_fig8": "for each method that sweeps the temperature of `entropy`",
    "etw_memorisation": "a model is fine-tuned here",
    "etw_forms": "two searches of uncertainty measures or more",
    "etw_tab_forms": "benchmark has forget quality and model utility",
    "etw_reported": "benchmark has the paper's metrics",
}
"""When a study has an exhibit, in words; those not named are always there."""

FOLDED = "figures and tables"
"""Name of the node that stands for all exhibits in the picture."""


def updated(text: str) -> str:
    """A page with its blocks replaced by the current tables and picture.

    Raises:
        InputError: if the page lacks a marker.
    """
    for name, block in {"targets": tables(), "graph": picture(rule_graph())}.items():
        text = replaced(text, name, block)
    return text


def replaced(text: str, name: str, block: str) -> str:
    """A page with what stands between the markers of `name` replaced. Raises as `updated` does."""
    begin, end = (MARKER.format(edge=edge, name=name) for edge in ("begin", "end"))
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise InputError(f"docs/targets.md: put the lines\n{begin}\n{end}\nwhere the {name} belong.")
    return f"{before}{begin}\n\n{block}\n\n{end}{after}"


# ---------------------------------------------------------------------------------------------- tables


def tables() -> str:
    """Markdown: stages, then figures and tables by what they are."""
    exhibits = EXHIBITS.values()
    kinds = {kind: [e for e in exhibits if e.package == kind] for kind in ("tables", "figures")}
    return "\n\n".join(
        [
            "### Stages",
            _table(("rule", "files", "what they hold", "code"), map(_stage, STAGES)),
            "### Tables",
            _table(("target", "also", "what it shows", "exists"), (row for e in kinds["tables"] for row in _rows(e))),
            "### Figures",
            _table(("target", "also", "what it shows", "exists"), (row for e in kinds["figures"] for row in _rows(e))),
        ]
    )


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _stage(rule: str) -> list[str]:
    place, files, holds = STAGES[rule]
    folder = "/".join(filter(None, [rule, place]))
    where = f"`{folder}/`: " + ", ".join(f"`{name}`" for name in files.split()) if files else f"`{folder}`"
    return [f"`{rule}`", where, holds, ", ".join(_code(rule))]


def _code(rule: str) -> list[str]:
    """Modules of the package that a rule's script calls; what nearly every script needs is left out."""
    script = ROOT / "workflow" / "scripts" / f"{rule}.py"
    if not script.exists():
        return []
    nodes = ast.walk(ast.parse(script.read_text(encoding="utf-8")))
    modules = {node.module.removeprefix("lethe.") for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    everywhere = {"io", "script", "config", "errors", "benchmarks.prepared", "models.ready", "provenance"} - {rule}
    return [f"`{name}`" for name in sorted(modules - everywhere)]


def _rows(exhibit: Exhibit) -> list[list[str]]:
    """A row for each output: the file that stands in the report, other suffixes, what it shows, when it exists."""
    files = [(re.sub(r"\{(\w+)\}", r"<\1>", path), title) for _, path, title, _ in exhibit.files()]
    rows = []
    for stem, group in groupby(files, key=lambda file: file[0].rpartition(".")[0]):
        (first, title), *others = group
        shown = exhibit.shows if not rows else title.removesuffix(" (CSV)")
        suffixes = ", ".join(f"`.{path.removeprefix(stem + '.')}`" for path, _ in others)
        rows.append([f"`{first}`", suffixes, shown, "" if rows else EXISTS.get(exhibit.name, "always")])
    return rows


# ---------------------------------------------------------------------------------------------- picture


def rule_graph() -> set[tuple[str, str]]:
    """(rule, rule that reads its files) of the default study, as Snakemake plans it where nothing has been made."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "snakemake", "all"),
            *("--snakefile", str(ROOT / "workflow" / "Snakefile"), "--directory", folder),
            *("--configfile", str(ROOT / "config.yaml"), "--rulegraph", "mermaid-js"),
        ]
        done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode:
        raise InputError(f"snakemake --rulegraph failed:\n{done.stderr[-2000:]}")
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]$", done.stdout, re.M))
    return {(names[a], names[b]) for a, b in re.findall(r"^\s*(id\d+) --> (id\d+)$", done.stdout, re.M)}


def folded(edges: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Edges with all exhibits as one node, without the rule `all` and without those that longer paths imply; sorted."""
    short = {tuple(FOLDED if rule in EXHIBITS else rule for rule in edge) for edge in edges}
    short = {(a, b) for a, b in short if a != b and "all" not in (a, b)}
    order = [*STAGES, FOLDED]
    return sorted(
        ((a, b) for a, b in short if not _leads(short - {(a, b)}, a, b)), key=lambda edge: [*map(order.index, edge)]
    )


def _leads(edges: set[tuple[str, str]], start: str, end: str) -> bool:
    seen, open_ = set(), [start]
    while open_:
        rule = open_.pop()
        following = {b for a, b in edges if a == rule} - seen
        seen |= following
        open_ += following
    return end in seen


def picture(edges: Iterable[tuple[str, str]]) -> str:
    """A mermaid graph of the rules."""
    lines = [f"  {_node(a)} --> {_node(b)}" for a, b in folded(edges)]
    return "\n".join(["```mermaid", "flowchart TB", *lines, "```"])


def _node(rule: str) -> str:
    return f"exhibits[[{rule}]]" if rule == FOLDED else rule


if __name__ == "__main__":
    match sys.argv[1:]:
        case [path]:
            write_text(path, updated(Path(path).read_text(encoding="utf-8")))
        case _:
            sys.exit(__doc__)
