"""TOFU: 200 invented authors with 20 questions each, the field's benchmark for unlearning whole entities.

Maini et al. 2024, arXiv 2401.06121. Rows are joined by content, never by position: files of the same name
circulate in several serialisations and orders, and a silent shift by one row would score every answer against
another question's paraphrase.

Data of one's own in this form need no code: `full`, a forget split and its retain split are enough (`strict: false`).
Without `forgetNN_perturbed` there is no truth ratio of the forget set, hence no forget quality and no aggregate.
Without `retain_perturbed` all rows of the retain split are asked (see `limits`); retain_Truth_Ratio,
retain_Q_A_PARA_Prob and retain_Q_A_PERT_Prob are undefined, and with the first of them utility_teacher_forced, model
utility, lost utility and aggregate; so they are without the utility sets. Without `holdout` there are no membership
attacks and no PrivLeak. What is undefined says why in summary.json.
"""

import logging
import re
from collections.abc import Iterable

from lethe.benchmarks.contract import Data
from lethe.benchmarks.json_lines import as_text, require_text
from lethe.benchmarks.records import Record, validate
from lethe.benchmarks.tofu_files import KNOWN, TofuConfig, TofuFiles, content_hash, open_files
from lethe.benchmarks.tofu_form import TofuForm
from lethe.errors import InputError
from lethe.splits import retain_split

ROWS_PER_AUTHOR = 20
UTILITY_SETS = ("real_authors", "world_facts")

log = logging.getLogger(__name__)

Pair = tuple[str, str]


class Tofu(TofuForm):
    """The benchmark; see the module's docstring."""

    name = "tofu"
    section = TofuConfig

    def load(self, config: TofuConfig, seed: int) -> Data:
        # Source and records come from one reading, so that the recorded commit is the one that was used.
        return self.data(*read_tofu(config, open_files(config)))


def tofu(config: TofuConfig, seed: int) -> list[Record]:
    """Records of TOFU; `seed` changes nothing, the data are fixed.

    `full-0361` is row 361 of `full`; its group is `author-018` (row // 20). Utility sets and holdout are
    numbered alike (`real_authors-0000`, `holdout-0000`). `config.authors` thins out the `full` set only.

    Raises:
        InputError: naming file, line or author and the fix; see `read_tofu`.
    """
    return read_tofu(config, open_files(config))[0]


def read_tofu(config: TofuConfig, files: TofuFiles) -> tuple[list[Record], dict]:
    """Records and their provenance.

    The provenance holds `path`, or `repository`, `requested_revision` and `resolved_commit`; and `files`: name -> rows,
    content hash, and whether it is the known content (None: there is nothing to compare with).

    Needed are `full`, one forget split and its retain split; other splits, perturbed files, utility sets and
    holdout are used where they exist, and a warning says what is missing.

    Raises:
        InputError: for a missing or malformed file, duplicate rows, splits that are no part of `full` or that
            overlap, an unknown author; with `config.strict` also for content other than the known, forget and
            retain splits that do not make up `full`, or perturbed files that do not fit their split.
    """
    read = _Reader(config, files)
    forget, retain = _splits(read)
    forgotten = set().union(*forget.values())
    paraphrases = _paraphrases(read, forget)
    splits = {**forget, **retain}

    records = []
    for row, pair in enumerate(read.pairs("full")):
        paraphrase = paraphrases.get(pair, {})
        records.append(
            Record(
                id=f"full-{row:04d}",
                set="full",
                group=f"author-{row // ROWS_PER_AUTHOR:03d}",
                question=pair[0],
                answer=pair[1],
                paraphrased_question=paraphrase.get("paraphrased_question"),
                paraphrased_answer=paraphrase.get("paraphrased_answer"),
                perturbed_answers=tuple(paraphrase.get("perturbed_answer", ())),
                splits=tuple(name for name, members in splits.items() if pair in members),
            )
        )
    bare = sum(not r.perturbed_answers for r in records if (r.question, r.answer) in forgotten)
    if bare:
        log.warning("TOFU: %d forget rows have no paraphrase (forgetNN_perturbed): no truth ratio there", bare)
    records = _keep_authors(records, config.authors)
    for name in UTILITY_SETS:
        records += _utility(read, name)
    records += _holdout(read)
    return validate(records), {**files.provenance, "files": read.seen}


class _Reader:
    """Reads each table once, checks it by itself, and remembers what was read."""

    def __init__(self, config: TofuConfig, files: TofuFiles):
        self.strict, self.files = config.strict, files
        self.seen: dict[str, dict] = {}
        self._rows: dict[str, list[dict]] = {}

    def has(self, name: str) -> bool:
        return name in self.files.names

    def numbered(self, kind: str) -> list[str]:
        """Tables called `kind`NN, in order."""
        return sorted(name for name in self.files.names if re.fullmatch(rf"{kind}\d\d", name))

    def rows(self, name: str) -> list[dict]:
        if name not in self._rows:
            if not self.has(name):
                raise InputError(
                    f"{self.files.where(name, None)}: missing; add it (found: "
                    f"{', '.join(sorted(self.files.names)) or 'none'}) or correct `benchmark`'s path "
                    "or repository."
                )
            rows = self.files.read(name)
            self._check_rows(name, rows)
            self._check_content(name, rows)
            self._rows[name] = rows
        return self._rows[name]

    def pairs(self, name: str) -> list[Pair]:
        return [(row["question"], row["answer"]) for row in self.rows(name)]

    def where(self, name: str, row: int | None = None) -> str:
        return self.files.where(name, row)

    def complain(self, message: str) -> None:
        """An error where the known benchmark is promised, a warning where the user's own data are allowed."""
        if self.strict:
            raise InputError(f"{message} Fetch TOFU again, or set `benchmark.strict: false` to use this.")
        log.warning(message)

    def _check_rows(self, name: str, rows: list[dict]) -> None:
        if not rows:
            raise InputError(f"{self.where(name)}: no rows; fetch it again or remove it.")
        texts = ["question", "answer"]
        if name.endswith("_perturbed") and not name.startswith(UTILITY_SETS):
            texts += ["paraphrased_question", "paraphrased_answer"]
        first: dict[Pair, int] = {}
        for i, row in enumerate(rows):
            where = self.where(name, i)
            for column in texts:
                require_text(row, column, where)
            if name.endswith("_perturbed"):
                _check_perturbed(row, where)
            pair = (row["question"], row["answer"])
            if pair in first:
                raise InputError(
                    f"{where}: same question and answer as in {self.where(name, first[pair])}; remove one."
                )
            first[pair] = i

    def _check_content(self, name: str, rows: list[dict]) -> None:
        found = content_hash(rows)
        known = None
        if name in KNOWN:
            count, expected = KNOWN[name]
            known = found == expected
            if not known:
                self.complain(
                    f"{self.where(name)}: not the known content of TOFU's '{name}': expected {count} rows "
                    f"with content hash {expected[:16]}…, found {len(rows)} rows with {found[:16]}… "
                    "(the hash is over parsed rows, so serialisation does not matter)."
                )
        self.seen[name] = {"rows": len(rows), "content_sha256": found, "known": known}


def _check_perturbed(row: dict, where: str) -> None:
    if "perturbed_answer" not in row:
        raise InputError(f"{where}: column 'perturbed_answer' is missing (present: {', '.join(row)}); add it.")
    answers = row["perturbed_answer"]
    if not isinstance(answers, list) or not answers:
        raise InputError(f"{where}: column 'perturbed_answer' holds {answers!r}; write a list of false answers.")
    for answer in answers:
        as_text(answer, f"{where}: an entry of column 'perturbed_answer'")


def _splits(read: _Reader) -> tuple[dict[str, set[Pair]], dict[str, set[Pair]]]:
    """Forget and retain splits by name, checked against `full` and against each other."""
    full = set(read.pairs("full"))
    names = read.numbered("forget")
    if not names:
        raise InputError(f"{read.where('forget10')}: missing, and no other forget split is there; add one.")
    forget = {name: _members(read, name, full) for name in names}
    retain = {retain_split(name): _members(read, retain_split(name), full) for name in names}
    for name, members in forget.items():
        counterpart = retain_split(name)
        for i, pair in enumerate(read.pairs(name)):
            if pair in retain[counterpart]:
                raise InputError(f"{read.where(name, i)}: the row is in {counterpart} as well; remove it from one.")
        rest = len(full - members - retain[counterpart])
        if rest:
            read.complain(f"{read.where('full')}: {rest} rows are in neither {name} nor {counterpart}.")
    return forget, retain


def _members(read: _Reader, name: str, whole: set[Pair], of: str = "full") -> set[Pair]:
    pairs = read.pairs(name)
    for i, pair in enumerate(pairs):
        if pair not in whole:
            raise InputError(
                f"{read.where(name, i)}: the row is not in '{of}'; a split must be part of it, word for "
                f"word. Correct the row or add it to '{of}'."
            )
    return set(pairs)


def _paraphrases(read: _Reader, forget: dict[str, set[Pair]]) -> dict[Pair, dict]:
    """Question and answer -> row of a perturbed file, for forget rows and some retain rows."""
    joined: dict[Pair, dict] = {}
    full = set(read.pairs("full"))
    for name in [*(f"{split}_perturbed" for split in forget), "retain_perturbed"]:
        if not read.has(name):
            if name == "retain_perturbed":
                log.warning(
                    "TOFU: %s is missing: all rows of the retain split are asked, without a truth ratio",
                    read.where(name),
                )
            continue
        members = _members(read, name, full)
        split = name.removesuffix("_perturbed")
        if split in forget and members != forget[split]:
            read.complain(f"{read.where(name)}: its questions and answers are not those of '{split}'.")
        if split == "retain" and any(members & rows for rows in forget.values()):
            read.complain(f"{read.where(name)}: some of its rows are in a forget split.")
        for i, (pair, row) in enumerate(zip(read.pairs(name), read.rows(name), strict=True)):
            if joined.setdefault(pair, row) != row:
                raise InputError(
                    f"{read.where(name, i)}: another perturbed file paraphrases this row otherwise; make them agree."
                )
    return joined


def _keep_authors(records: list[Record], authors: Iterable[int] | None) -> list[Record]:
    """Records of `full` that are about the authors; all of them for None."""
    if authors is None:
        return records
    known = sorted({r.group for r in records})
    wanted = {f"author-{author:03d}": author for author in authors}
    unknown = [author for group, author in wanted.items() if group not in known]
    if unknown or not wanted:
        raise InputError(
            f"benchmark.authors: {'unknown author ' + str(unknown[0]) if unknown else 'the list is empty'}; "
            f"name authors from 0 to {len(known) - 1}, or null for all."
        )
    kept = [r for r in records if r.group in wanted]
    for name in dict.fromkeys(name for r in records for name in r.splits):
        if not any(name in r.splits for r in kept):
            log.warning("benchmark.authors: none of them is in %s; the split is empty", name)
    return kept


def _utility(read: _Reader, name: str) -> list[Record]:
    """A utility set; each row is its own group, because nothing says which rows share a subject."""
    if not read.has(f"{name}_perturbed"):
        log.warning("TOFU: %s is missing: no %s set", read.where(f"{name}_perturbed"), name)
        return []
    return [
        Record(
            id=f"{name}-{i:04d}",
            set=name,
            group=f"{name}-{i:04d}",
            question=row["question"],
            answer=row["answer"],
            perturbed_answers=tuple(row["perturbed_answer"]),
        )
        for i, row in enumerate(read.rows(f"{name}_perturbed"))
    ]


def _holdout(read: _Reader) -> list[Record]:
    """Rows of the largest holdout set; smaller ones are parts of it (heads, unlike the forget splits)."""
    names = read.numbered("holdout")
    if not names:
        log.warning("TOFU: %s is missing: no non-members, no membership attacks", read.where("holdout10"))
        return []
    whole = read.pairs(names[-1])
    if set(whole) & set(read.pairs("full")):
        read.complain(f"{read.where(names[-1])}: some of its rows are in 'full', so they are no non-members.")
    members = {name: _members(read, name, set(whole), of=names[-1]) for name in names}
    return [
        Record(
            id=f"holdout-{i:04d}",
            set="holdout",
            group=f"holdout-author-{i // ROWS_PER_AUTHOR:03d}",
            question=pair[0],
            answer=pair[1],
            splits=tuple(name.replace("holdout", "forget") for name in names if pair in members[name]),
        )
        for i, pair in enumerate(whole)
    ]
