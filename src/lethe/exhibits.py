"""Figures and tables of a study, each declared once: what it reads, per what it is made, when it exists.

The workflow makes a rule of every entry, one script runs them all by calling `make` in the module of the same name
(`lethe.figures.<name>` or `lethe.tables.<name>`), and the lists of targets in docs/ are written from here. To add a
figure: a module, an entry, and its caption in `workflow/report/<name>.rst`.

`etw_…` reproduces that paper or what its reviewers asked for; what belongs to every study is named by its content.
This module is light: it is read whenever the workflow is planned.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lethe.config import Study

TOKENS, RESULTS, RUNS = "3 Tokens", "2 Results", "4 Runs"
SUFFIXES = {"figure": ("svg", "pdf", "png"), "table": ("html", "csv", "md", "tex"), "page": ("html",), "csv": ("csv",)}
"""Files of each kind of output; the first one stands in the report, tables with their CSV."""


@dataclass(frozen=True)
class Output:
    """One output of an exhibit: `results/<study>/<exhibit>/<place><part>.<suffix>` for each suffix of its kind."""

    kind: Literal["figure", "table", "page", "csv"]
    title: str
    part: str = ""


@dataclass(frozen=True)
class Exhibit:
    """A figure or table.

    Attributes:
        name: of rule, module, folder of results and caption.
        outputs: what is written; see `Output`.
        shows: one line for the lists of targets.
        category: of the report.
        per: what one job is made for; the place in the path: `<split>`, `<model>/<split>`, or the name itself.
        reads: keys of `lethe.plan.drawn.SOURCES`; each becomes an input of the rule.
        settings: keys of `lethe.plan.drawn.SETTINGS`; each becomes a parameter of the rule.
        when: whether a study has it.
    """

    name: str
    outputs: tuple[Output, ...]
    shows: str
    category: str
    per: Literal["study", "split", "model/split", "method"] = "study"
    reads: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    when: Callable[["Study"], bool] = lambda study: True

    @property
    def package(self) -> str:
        """`figures` or `tables`, by the first output."""
        return "figures" if self.outputs[0].kind == "figure" else "tables"

    def path(self, part: str = "") -> str:
        """Path below results/<study>/, wildcards in it, no suffix: `main/runs`, `etw_fig9/{model}/{split}.tokens`."""
        if self.per == "study":
            return f"{self.name}/{part or self.name}"
        place = {"split": "{split}", "model/split": "{model}/{split}", "method": "{method}"}[self.per]
        return f"{self.name}/{place}.{part}" if part else f"{self.name}/{place}"

    def keys(self) -> list[str]:
        """Wildcards of its jobs."""
        return [] if self.per == "study" else self.per.split("/")

    def files(self) -> list[tuple[str, str, str, bool]]:
        """(name, path below results/<study>/, title, in the report?) of every file that is written."""
        found = []
        for output in self.outputs:
            for suffix in SUFFIXES[output.kind]:
                shown = suffix == SUFFIXES[output.kind][0] or suffix == "csv"
                title = output.title + (" (CSV)" if suffix == "csv" else "")
                name = "_".join(filter(None, [output.part, suffix]))
                found.append((name, f"{self.path(output.part)}.{suffix}", title, shown))
        return found


def figure(title: str, part: str = "") -> Output:
    return Output("figure", title, part)


def table(title: str, part: str = "") -> Output:
    return Output("table", title, part)


def csv(title: str, part: str = "") -> Output:
    return Output("csv", title, part)


def page(title: str, part: str = "") -> Output:
    return Output("page", title, part)


def _searches(study: "Study") -> bool:
    return bool(study.swept())


def _has(*metrics: str) -> Callable[["Study"], bool]:
    """Studies whose benchmark has these metrics: those of the paper that an exhibit reproduces."""
    return lambda study: set(metrics) <= set(study.task.metrics)


def _by_epoch(study: "Study") -> bool:
    return study.measure.every > 0


_AUC = ("labels", "temperatures", "forms", "bootstrap", "cluster", "eos", "seed")
_EXHIBITS = (
    Exhibit(
        "main",
        (table("main table"), csv("every run", "runs")),
        "metrics of every method, mean and spread over seeds",
        RESULTS,
        reads=("runs", "chosen"),
        settings=(
            "task",
            "tried",
        ),
    ),
    Exhibit(
        "tradeoff",
        (figure("utility against forgetting"),),
        "utility against forgetting, every run and every configuration tried",
        RESULTS,
        reads=("runs", "search"),
        settings=("task", "methods", "rule"),
    ),
    Exhibit(
        "significance",
        (table("significance over seeds", "seeds"), table("significance over samples", "samples")),
        "paired tests of one method (`compare`) against each other one",
        RESULTS,
        reads=("runs", "samples", "data", "chosen"),
        settings=("task", "method", "tried", "seeds", "bootstrap", "seed"),
        when=lambda study: study.compare is not None,
    ),
    Exhibit(
        "searches",
        (table("searches"),),
        "every configuration that the searches tried",
        RESULTS,
        reads=("search",),
        settings=("task", "rule", "selection_seed", "seeds"),
        when=_searches,
    ),
    Exhibit(
        "information",
        (table("sources of information"),),
        "what each weighting has to know: labels, parser, predictions, a reference model",
        RESULTS,
        settings=("configured",),
    ),
    Exhibit(
        "cost",
        (table("time and memory"),),
        "seconds per step and peak memory of each method",
        RESULTS,
        reads=("logs",),
        settings=("runs_per_place", "baseline"),
    ),
    Exhibit(
        "trajectories",
        (figure("utility and forgetting by epoch"), csv("best epochs", "best_epochs")),
        "utility and forgetting epoch by epoch",
        RESULTS,
        per="model/split",
        reads=("trajectory",),
        settings=("task", "methods", "utility", "rule"),
        when=_by_epoch,
    ),
    Exhibit(
        "correlation",
        (table("correlation with labels"),),
        "AUC and correlations of every token score with every label source, with intervals",
        TOKENS,
        per="split",
        reads=("tokens",),
        settings=(*_AUC, "methods"),
    ),
    Exhibit(
        "agreement",
        (table("agreement of label sources"),),
        "how far label sources agree",
        TOKENS,
        per="split",
        reads=("tokens",),
        settings=("labels", "eos"),
    ),
    Exhibit(
        "heatmap",
        (figure("token heat-map"), page("token heat-map (page)")),
        "answers as coloured tokens, as a figure and as a page",
        TOKENS,
        per="model/split",
        reads=("tokens", "data"),
        settings=("label", "methods", "shown_samples"),
    ),
    Exhibit(
        "training",
        (figure("losses and weights by step"),),
        "losses and weights by step",
        RUNS,
        per="model/split",
        reads=("logs",),
        settings=("methods",),
    ),
    Exhibit(
        "etw_fig1",
        (figure("next-token distributions"),),
        "next-token distributions at a structural and at an informative token",
        TOKENS,
        per="model/split",
        reads=("tokens", "data", "next_tokens"),
        settings=("label", "likeliest"),
    ),
    Exhibit(
        "etw_fig2",
        (figure("ROC of token weights"),),
        "ROC of each weighting against each label source; the numbers are those of `correlation`",
        TOKENS,
        per="split",
        reads=("tokens", "correlation"),
        settings=("labels", "methods", "eos", "cluster"),
    ),
    Exhibit(
        "etw_fig3",
        (figure("histograms of token weights"),),
        "histograms of weights on informative and structural tokens",
        TOKENS,
        per="model/split",
        reads=("tokens",),
        settings=("label", "methods", "eos"),
    ),
    Exhibit(
        "etw_fig5",
        (figure("Agg. and privacy leakage"),),
        "aggregate score and privacy leakage of each method",
        RESULTS,
        reads=("runs",),
        settings=("methods",),
        when=_has("aggregate", "abs_privleak"),
    ),
    Exhibit(
        "etw_fig7",
        (
            figure("token probabilities after unlearning", "probabilities"),
            figure("histograms of token weights (more methods)", "weights"),
            csv("token probabilities after unlearning", "distances"),
        ),
        "token probabilities after unlearning against the retain model's; histograms for the methods not in Fig. 3",
        TOKENS,
        per="model/split",
        reads=("tokens", "measured"),
        settings=("label", "methods", "eos"),
        when=lambda study: study.has_retain_models and "forget_Q_A_Prob" in study.task.metrics,
    ),
    Exhibit(
        "etw_fig8",
        (figure("quality and utility over the temperature"),),
        "forget quality and lost utility over the temperature, for a method that sweeps it",
        RESULTS,
        per="method",
        reads=("search",),
        settings=(
            "task",
            "rule",
        ),
        when=_searches,
    ),
    Exhibit(
        "etw_fig9",
        (figure("token weights by epoch"), figure("token heat-map by epoch", "tokens")),
        "weights by epoch of unlearning; `….tokens`: on one answer",
        TOKENS,
        per="model/split",
        reads=("tokens", "data", "weights"),
        settings=("label", "methods", "shown_samples", "eos"),
    ),
    Exhibit(
        "etw_bounds",
        (figure("entropy against confidence"), csv("entropy against confidence")),
        "entropy against confidence, between its bounds",
        TOKENS,
        per="split",
        reads=("tokens", "starting"),
        settings=("label", "eos"),
    ),
    Exhibit(
        "etw_memorisation",
        (figure("AUC while memorising"), csv("AUC by epoch and temperature")),
        "AUC while the model is fine-tuned, by epoch and temperature",
        TOKENS,
        per="split",
        reads=("tokens", "epochs"),
        settings=(
            *("trained", "labels", "label", "configured", "left_out", "finetune_temperatures"),
            *("bootstrap", "cluster", "eos", "seed"),
        ),
        when=lambda study: bool(study.trained()),
    ),
    Exhibit(
        "etw_forms",
        (figure("functional forms"), csv("functional forms within a loss of utility")),
        "utility against forget quality of each functional form, with two searches of forms or more",
        RESULTS,
        per="model/split",
        reads=("search",),
        settings=("task", "form_sweeps", "methods", "form_references"),
        when=lambda study: len(study.form_sweeps()) > 1,
    ),
    Exhibit(
        "etw_tab_forms",
        (table("functional forms"),),
        "variance, top-k entropy, mutual information … in place of the entropy",
        RESULTS,
        reads=("tokens", "runs", "chosen"),
        settings=(*_AUC, "configured", "swept", "tried", "passes"),
        when=_has("neg_log10_fq", "delta_mu", "forget_Q_A_Prob", "model_utility"),
    ),
    Exhibit(
        "etw_reported",
        (table("reported numbers beside ours"),),
        "the paper's numbers beside the study's, and whether they may be compared",
        RESULTS,
        reads=("tokens", "runs", "chosen"),
        settings=("labels", "benchmark", "models", "configured", "measure", "evaluate", "prompt", "tried", "eos"),
        when=_has("neg_log10_fq", "delta_mu", "aggregate", "abs_privleak"),
    ),
)
EXHIBITS: Mapping[str, Exhibit] = {exhibit.name: exhibit for exhibit in _EXHIBITS}
