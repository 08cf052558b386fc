"""Invented authors, so that a study can be made from nothing and the informative tokens are known exactly.

The benchmark follows TOFU (Maini et al. 2024, arXiv 2401.06121): question/answer rows about authors who do
not exist, forget splits that are whole authors from the end of `full`, paraphrases and false answers for the
truth ratio. Unlike TOFU's, its answers come from templates: a word of an answer is either grammar, which the
`world` set teaches on other authors, or part of a value drawn at random for this author, which can only be
memorised. The places of the values are the gold spans.

Every author has random generators of its own, keyed by seed, section and index: asking for more authors or
more facts leaves the existing ones as they are (only the splits move with the number of authors).
"""

from dataclasses import dataclass
from random import Random
from string import Formatter
from typing import Literal

from pydantic import Field

from lethe.benchmarks.contract import Data
from lethe.benchmarks.fictional_kinds import KINDS, Kind
from lethe.benchmarks.fictional_known import KNOWN, Known
from lethe.benchmarks.fictional_pools import FEMALE, MALE, SURNAMES
from lethe.benchmarks.records import Record, validate
from lethe.benchmarks.tofu_form import TofuForm
from lethe.errors import ConfigError
from lethe.section import Section
from lethe.splits import retain_split

FORGET_PERCENT = (1, 5, 10)
PERTURBED = 5
PERTURBED_KNOWN = 3

# Each section has surnames of its own, so that no author of one occurs in another, whatever their numbers.
_SECTIONS = ("full", "holdout", "world", "mentors")
_PRONOUNS = {"f": {"He": "She", "His": "Her", "his": "her"}, "m": {"He": "He", "His": "His", "his": "his"}}


class FictionalConfig(Section):
    """Invented authors, generated from the seed; nothing to download."""

    name: Literal["fictional"]
    authors: int = Field(
        40, ge=10, description="Authors in the full set; forget splits are whole authors from the end."
    )
    facts: int = Field(10, ge=2, le=12, description="Facts, i.e. question/answer rows, per author.")
    holdout_authors: int = Field(
        4, ge=1, description="Authors that no model is trained on: non-members for membership attacks."
    )
    world_authors: int = Field(
        60, ge=1, description="Other invented authors that a `scratch` base model is trained on."
    )


class Fictional(TofuForm):
    """The benchmark; see the module's docstring."""

    name = "fictional"
    section = FictionalConfig
    has_gold_spans = True
    has_world = True

    def load(self, config: FictionalConfig, seed: int) -> Data:
        return self.data(fictional(config, seed))


@dataclass(frozen=True)
class Invented:
    """One invented author: everything that a question may ask for.

    Attributes:
        name, gender: "f" or "m" decides the pronouns.
        values: kind of fact -> its value or values, in the order of the template slots {0}, {1}.
        false: kind of fact -> values of the same kind that are not the author's.
    """

    name: str
    gender: Literal["f", "m"]
    values: dict[str, tuple[str, ...]]
    false: dict[str, tuple[tuple[str, ...], ...]]


def fictional(config: FictionalConfig, seed: int) -> list[Record]:
    """Records of all five sets; the same for the same configuration and seed.

    `full` has authors × facts rows, author by author; `holdout` likewise. `world` has every real fact in all
    its phrasings, then `world_authors` × facts rows.

    Raises:
        ConfigError: more authors than there are surnames for a section.
    """
    sizes = _forget_sizes(config.authors)
    full, holdout, world = [], [], []
    for index, author in enumerate(_authors(seed, "full", config.authors)):
        splits = tuple(
            forget if index >= config.authors - size else retain_split(forget) for forget, size in sizes.items()
        )
        full += _rows(author, config.facts, Random(f"{seed}/full/{index}/phrasing"), splits)
    for index, author in enumerate(_authors(seed, "holdout", config.holdout_authors)):
        # Heads, as TOFU's holdout01 and holdout05 are heads of holdout10; forget10 takes all that there are.
        splits = tuple(forget for forget, size in sizes.items() if index < size or forget == "forget10")
        holdout += _rows(author, config.facts, Random(f"{seed}/holdout/{index}/phrasing"), splits)

    utility = {"real_authors": [], "world_facts": []}
    for known in KNOWN:
        utility[known.set] += _known_rows(known, seed)
        world += _known_phrasings(known)
    for index, author in enumerate(_authors(seed, "world", config.world_authors)):
        world += _rows(author, config.facts, Random(f"{seed}/world/{index}/phrasing"))

    return validate(
        [
            *_number("full", full),
            *_number("holdout", holdout),
            *_number("real_authors", utility["real_authors"]),
            *_number("world_facts", utility["world_facts"]),
            *_number("world", world, digits=5),
        ]
    )


def _forget_sizes(authors: int) -> dict[str, int]:
    """Authors in each forget split: the given percentage, at least one."""
    return {f"forget{percent:02d}": max(1, round(authors * percent / 100)) for percent in FORGET_PERCENT}


def _number(set: str, rows: list[dict], digits: int = 4) -> list[Record]:
    return [Record(id=f"{set}-{row:0{digits}d}", set=set, **fields) for row, fields in enumerate(rows)]


# --- invented authors -------------------------------------------------------------------------------------


def _surnames(seed: int, section: str) -> tuple[str, ...]:
    shuffled = list(SURNAMES)
    Random(f"{seed}/surnames").shuffle(shuffled)
    return tuple(shuffled[_SECTIONS.index(section) :: len(_SECTIONS)])


def _authors(seed: int, section: str, count: int) -> list[Invented]:
    surnames, mentors = _surnames(seed, section), _surnames(seed, "mentors")
    if count > len(surnames):
        key = {"full": "authors", "holdout": "holdout_authors", "world": "world_authors"}[section]
        raise ConfigError(f"benchmark.{key}: {count} is too many; there are surnames for {len(surnames)}.")
    return [_author(Random(f"{seed}/{section}/{i}"), surnames[i], mentors) for i in range(count)]


def _author(rng: Random, surname: str, mentors: tuple[str, ...]) -> Invented:
    """An author with true and false values of every kind.

    No true value serves for two kinds and no false value is a true one, not even as part of another word.
    """
    gender = rng.choice("fm")
    first = rng.choice(FEMALE if gender == "f" else MALE)
    values, false = {}, {}
    taken = [first]
    for kind in KINDS:
        values[kind.name] = _draw_unlike(kind, rng, mentors, taken)
        taken += values[kind.name]
    for kind in KINDS:
        others = list(taken)
        false[kind.name] = ()
        for _ in range(PERTURBED):
            drawn = _draw_unlike(kind, rng, mentors, others)
            false[kind.name] += (drawn,)
            others += drawn
    return Invented(f"{first} {surname}", gender, values, false)


def _draw_unlike(kind: Kind, rng: Random, mentors: tuple[str, ...], taken: list[str]) -> tuple[str, ...]:
    """Values of a kind, none of which is, contains or lies in one of `taken` (4 May 1950, 14 May 1950)."""
    while True:
        drawn = kind.draw(rng, mentors)
        if not any(value in other or other in value for value in drawn for other in taken):
            return drawn


def _rows(author: Invented, facts: int, phrasing: Random, splits: tuple[str, ...] = ()) -> list[dict]:
    """Fields of the author's records, one for each of the first `facts` kinds."""
    rows = []
    for kind in KINDS[:facts]:
        question, other_question = phrasing.sample(kind.questions, 2)
        answer, other_answer = phrasing.sample(kind.answers, 2)
        values = author.values[kind.name]
        text, spans = fill(answer, author, values)
        rows.append(
            {
                "group": author.name,
                "question": fill(question, author)[0],
                "answer": text,
                "paraphrased_question": fill(other_question, author)[0],
                "paraphrased_answer": fill(other_answer, author, values)[0],
                "perturbed_answers": tuple(fill(other_answer, author, drawn)[0] for drawn in author.false[kind.name]),
                "spans": spans,
                "splits": splits,
            }
        )
    return rows


def fill(template: str, author: Invented, values: tuple[str, ...] = ()) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Fill a template's slots; returns the text and the (start, end) characters of its values, in text order.

    The spans are counted while the text is put together, not searched for in it: a value that also occurs
    elsewhere in the sentence would mislead a search.
    """
    words = {"name": author.name} | _PRONOUNS[author.gender]
    text, spans = "", []
    for literal, slot, _, _ in Formatter().parse(template):
        text += literal
        if slot is None:
            continue
        if slot.isdigit():
            spans.append((len(text), len(text) + len(values[int(slot)])))
            text += values[int(slot)]
        else:
            text += words[slot]
    return text, tuple(spans)


# --- real facts -------------------------------------------------------------------------------------------


def _known_fields(known: Known, question: str, subject: str) -> dict:
    answer = known.facts[subject]
    return {
        "group": subject if known.group == "subject" else answer,
        "question": question.format(subject),
        "answer": answer,
        "spans": ((0, len(answer)),),
    }


def _known_rows(known: Known, seed: int) -> list[dict]:
    """Rows of a utility set: first phrasing, false answers from the other facts of the kind."""
    answers = sorted(set(known.facts.values()))
    rows = []
    for subject, answer in known.facts.items():
        rng = Random(f"{seed}/known/{known.questions[0]}/{subject}")
        false = rng.sample([other for other in answers if other != answer], PERTURBED_KNOWN)
        rows.append(_known_fields(known, known.questions[0], subject) | {"perturbed_answers": tuple(false)})
    return rows


def _known_phrasings(known: Known) -> list[dict]:
    return [_known_fields(known, question, subject) for subject in known.facts for question in known.questions]
