"""What a benchmark owes: rows to train on, probes to ask, splits, and metrics of what was measured.

One file a benchmark: its config section, its data, its metrics and a subclass of `Benchmark`, of which
`lethe.benchmarks.BENCHMARKS` holds one. All else reads `Data` and asks the benchmark, and never looks at its name.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lethe.errors import InputError
from lethe.metrics import Headline, Metric, SampleMetric
from lethe.section import NAME, Section

if TYPE_CHECKING:  # the workflow plans without tables
    import pandas as pd

Span = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """A text that is trained on.

    Attributes:
        id: unique over the benchmark, stable over runs, e.g. `full-0361`.
        group: whom or what the row is about (an author); rows of one group are dependent samples.
        answer: what bears loss.
        prompt: what comes before it, e.g. a question; None = free text, every token of which bears loss.
        spans: gold (start, end) character spans of `answer` that carry the fact, end exclusive; None = unknown,
            () = known to hold nothing informative.
    """

    id: str
    group: str
    answer: str
    prompt: str | None = None
    spans: tuple[Span, ...] | None = None


@dataclass(frozen=True)
class Probe:
    """Something that a model is asked.

    Attributes:
        set: key of the benchmark's `sets`.
        id: unique within the set; that of the row, where a probe is about a row.
        group: see `Row`.
        prompt: what the model is given; may be empty in style `plain`.
        score: (kind, continuation): texts whose tokens are scored after the prompt. Memorisation, Min-K and compressed
            size are of kind `answer`.
        generate: longest greedy continuation, tokens; 0 = none. The config's `max_new_tokens` is a limit, too.
        stop: the generation is cut before this text.
        style: chat = the prompt is a question (chat template or the config's words), continuations end with the end
            token; plain = the prompt is text, continuations go on from it as they stand (blanks included) without end.
        target: what a generation should say, or the number of the right one of several scored continuations.
    """

    set: str
    id: str
    group: str
    prompt: str
    score: tuple[tuple[str, str], ...] = ()
    generate: int = 0
    stop: str | None = None
    style: Literal["chat", "plain"] = "chat"
    target: str | int | None = None

    def numbered(self) -> list[tuple[str, int, str]]:
        """(kind, index, continuation) of what is scored; the index counts within a kind."""
        seen: dict[str, int] = {}
        found = []
        for kind, text in self.score:
            found.append((kind, seen.get(kind, 0), text))
            seen[kind] = seen.get(kind, 0) + 1
        return found


@dataclass(frozen=True)
class Split:
    """What is forgotten, what is kept, and what is asked about it.

    Attributes:
        forget, retain: ids of rows.
        probes: set -> ids of its probes.
    """

    forget: tuple[str, ...]
    retain: tuple[str, ...]
    probes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Data:
    """All of a benchmark's data.

    Attributes:
        benchmark: its name.
        rows: what the full model is fine-tuned on.
        probes: of all splits.
        splits: by name.
        world: what a `scratch` base model is trained on; empty where `has_world` is false.
        rehearsed: ids of those rows of `world` that may be mixed into fine-tuning.
        origin: where data from outside come from: place, resolved revision, content hashes.
    """

    benchmark: str
    rows: tuple[Row, ...]
    probes: tuple[Probe, ...]
    splits: Mapping[str, Split]
    world: tuple[Row, ...] = ()
    rehearsed: tuple[str, ...] = ()
    origin: Mapping = field(default_factory=dict)

    def split(self, name: str) -> Split:
        """A split by name.

        Raises:
            InputError: if there is none; the message lists those that exist.
        """
        if name not in self.splits:
            raise InputError(
                f"splits: the benchmark '{self.benchmark}' has no split '{name}'; it has {', '.join(self.splits)}."
            )
        return self.splits[name]

    def forget(self, split: str) -> list[Row]:
        """Rows to forget, in the split's order."""
        return self._rows(self.split(split).forget)

    def retain(self, split: str) -> list[Row]:
        """Rows to keep, in the split's order."""
        return self._rows(self.split(split).retain)

    def all_forget(self) -> list[Row]:
        """Rows of any forget split, in the order of `rows`."""
        wanted = {row for split in self.splits.values() for row in split.forget}
        return [row for row in self.rows if row.id in wanted]

    def fine_tuning(self, split: str | None, rehearse: bool) -> list[Row]:
        """Rows that a model is fine-tuned on: all of them, or those that a split retains; with rehearsed ones added."""
        rows = list(self.rows) if split is None else self.retain(split)
        if rehearse:
            rows += [row for row in self.world if row.id in set(self.rehearsed)]
        return rows

    def _rows(self, ids: tuple[str, ...]) -> list[Row]:
        by_id = {row.id: row for row in self.rows}
        return [by_id[id] for id in ids]


class Benchmark(ABC):
    """A benchmark; see the module's docstring.

    Attributes:
        name: as in the config.
        section: its section of the config, with `name: Literal[<name>]`.
        split_names: regular expression of legal names of splits; `split_example` is one for messages.
        sets: probe set -> whose it is: each split's own, or the study's, which are the probes that all its splits
            share, so that all runs are judged on the same. In the order in which they are measured. Keys of `limits`.
        references: models that unlearned ones are held against; without "retain" there are no retain models.
        has_gold_spans, has_world: whether rows come with `spans`, and whether there is a `world`.
        metrics: by name, in the order of the tables.
        headline: which of them selection, plane, check and main table read.
        main: those of the main table; `also`: those that only its CSV has.
        by_seed, by_sample: what the significance table tests: metrics over seeds; values over the probes of the set
            `headline.probes`.
    """

    name: str
    section: type[Section]
    split_names: str = NAME
    split_example: str = "all"
    sets: Mapping[str, Literal["split", "study"]]
    references: tuple[str, ...] = ("full", "retain")
    has_gold_spans: bool = False
    has_world: bool = False
    metrics: Mapping[str, Metric]
    headline: Headline
    main: tuple[str, ...]
    also: tuple[str, ...] = ()
    by_seed: tuple[str, ...]
    by_sample: Mapping[str, SampleMetric]

    @property
    def has_retain_models(self) -> bool:
        return "retain" in self.references

    def retain_name(self, split: str) -> str | None:
        """Name of what a retain model of a split is trained on, known without the data; None without retain models."""
        return f"retain-{split}" if self.has_retain_models else None

    @abstractmethod
    def load(self, config: Section, seed: int) -> Data:
        """The data; the same for the same section and seed."""

    @abstractmethod
    def samples(
        self, tokens: "pd.DataFrame", generations: "pd.DataFrame", probes: list[Probe], config: Section
    ) -> "pd.DataFrame":
        """One row per probe (set, sample = its id, and values; NaN = undefined), from what was measured.

        Args:
            tokens, generations: see `lethe.evaluation.measure`; of these probes.
            probes: that were asked.
            config: settings of metrics, `min_k` and `ou_compat`.
        """


def check(data: Data, benchmark: Benchmark) -> Data:
    """What holds for the data of every benchmark.

    Raises:
        InputError: naming row, probe or split and the fix, for an empty text, an id that occurs twice, a gold span
            outside its answer, an unknown set, a split of unknown rows or probes, or a row both forgotten and kept.
    """
    rows: dict[str, Row] = {}
    for row in (*data.rows, *data.world):
        if row.id in rows:
            raise InputError(f"row {row.id}: the id occurs twice; ids must be unique.")
        rows[row.id] = row
        if not row.answer.strip() or (row.prompt is not None and not row.prompt.strip()):
            raise InputError(f"row {row.id}: empty prompt or answer; remove the row or fill it in.")
        for start, end in row.spans or ():
            if not 0 <= start < end <= len(row.answer):
                raise InputError(
                    f"row {row.id}: span ({start}, {end}) lies outside the answer of {len(row.answer)} characters; "
                    "spans are character offsets into `answer`, end exclusive."
                )
    probes = set()
    for probe in data.probes:
        if probe.set not in benchmark.sets:
            raise InputError(f"probe {probe.id}: unknown set '{probe.set}'; use one of {', '.join(benchmark.sets)}.")
        if (probe.set, probe.id) in probes:
            raise InputError(f"probe {probe.id}: the id occurs twice in '{probe.set}'; ids must be unique in a set.")
        probes.add((probe.set, probe.id))
    trained = {row.id for row in data.rows}
    for name, split in data.splits.items():
        unknown = sorted({*split.forget, *split.retain} - trained)
        if unknown:
            raise InputError(f"split {name}: row {unknown[0]} does not exist; name rows of `rows`.")
        both = sorted({*split.forget} & {*split.retain})
        if both:
            raise InputError(f"split {name}: row {both[0]} is forgotten and kept; remove it from one.")
        unknown = sorted({(key, id) for key, ids in split.probes.items() for id in ids} - probes)
        if unknown:
            raise InputError(f"split {name}: probe {unknown[0][1]} of '{unknown[0][0]}' does not exist; correct it.")
    return data
