"""Questions and answers in the form of TOFU (Maini et al. 2024, arXiv 2401.06121), which several benchmarks have.

A record is one question with its answer; `set` says what it is for, `splits` which forget/retain splits it belongs to.
`lethe.benchmarks.tofu_form` makes rows, probes and splits of records.

Sets
    full         what the model is fine-tuned on: forget and retain rows together
    real_authors, world_facts
                 utility sets; the base model is expected to know them
    holdout      never trained on by any model; the non-members of membership attacks
    world        what a `scratch` base model is trained on (only generated benchmarks have it)
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lethe.errors import InputError
from lethe.splits import retain_split

SETS = ("full", "real_authors", "world_facts", "holdout", "world")


@dataclass(frozen=True)
class Record:
    """One question and answer of a benchmark.

    Attributes:
        id: unique over the benchmark, stable over runs, e.g. `full-0361`.
        set: one of `SETS`.
        group: who the record is about (author); rows of one group are dependent samples.
        question, answer: the text that is trained and scored.
        paraphrased_question, paraphrased_answer: same meaning, other words; None where the benchmark has none.
        perturbed_answers: false answers in the form of the paraphrase; empty where the benchmark has none.
        spans: gold (start, end) character spans of `answer` that carry the fact, end exclusive; None = unknown,
            () = known to hold nothing informative.
        splits: names of the splits the record belongs to, e.g. ("forget10", "retain95"); holdout rows carry the
            forget split they are the counterpart of.
    """

    id: str
    set: str
    group: str
    question: str
    answer: str
    paraphrased_question: str | None = None
    paraphrased_answer: str | None = None
    perturbed_answers: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] | None = None
    splits: tuple[str, ...] = ()


def validate(records: Iterable[Record]) -> list[Record]:
    """Check what holds for every benchmark; returns the records as a list.

    Raises:
        InputError: naming the record and the fix, for an unknown set, an empty question or answer, a duplicate id or
            question/answer pair within a set, a gold span outside its answer, an empty or missing retain
            counterpart, or a row that is in a forget split and in its retain split.
    """
    records = list(records)
    seen: dict[str, str] = {}
    pairs: dict[tuple[str, str, str], str] = {}
    for record in records:
        if record.set not in SETS:
            raise InputError(f"record {record.id}: unknown set '{record.set}'; use one of {', '.join(SETS)}.")
        if record.id in seen:
            raise InputError(f"record {record.id}: the id occurs twice; ids must be unique.")
        seen[record.id] = record.set
        for key in ("question", "answer"):
            if not getattr(record, key).strip():
                raise InputError(f"record {record.id}: empty {key}; remove the row or fill it in.")
        pair = (record.set, record.question, record.answer)
        if pair in pairs:
            raise InputError(
                f"record {record.id}: same question and answer as {pairs[pair]}; remove one of the two rows."
            )
        pairs[pair] = record.id
        for start, end in record.spans or ():
            if not 0 <= start < end <= len(record.answer):
                raise InputError(
                    f"record {record.id}: span ({start}, {end}) lies outside the answer of "
                    f"{len(record.answer)} characters; spans are character offsets into `answer`, end exclusive."
                )
        for name in record.splits:
            if name.startswith("forget") and record.set == "full" and retain_split(name) in record.splits:
                raise InputError(
                    f"record {record.id}: in {name} and in {retain_split(name)}; a row is either forgotten or kept."
                )
    return records


def select(records: Iterable[Record], set: str, split: str | None = None) -> list[Record]:
    """Records of a set, in order; with `split`, those of the split.

    Raises:
        InputError: if nothing is left; the message lists the splits that exist.
    """
    records = list(records)
    chosen = [r for r in records if r.set == set and (split is None or split in r.splits)]
    if not chosen:
        known = sorted({name for r in records if r.set == set for name in r.splits})
        raise InputError(
            f"set '{set}'{f' has no split {split!r}' if split else ' is empty'}; "
            f"splits of this set: {', '.join(known) or 'none'}."
        )
    return chosen
