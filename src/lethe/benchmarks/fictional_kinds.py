"""Kinds of facts about an invented author: what is drawn, and the sentences that ask for it and state it.

Templates hold every word that is not the fact: professions all start with a consonant ("a {0}"), awards and
universities leave "Award" and "University of" to the template. A value is informative from end to end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from lethe.benchmarks.fictional_pools import (
    AWARDS,
    CITIES,
    COUNTRIES,
    FEMALE,
    GENRES,
    MALE,
    MONTHS,
    PROFESSIONS,
    THEMES,
    TITLES,
)


@dataclass(frozen=True)
class Kind:
    """One kind of fact and the ways to ask for it and to state it.

    Slots: {name}; {He}, {His}, {his} by gender; {0}, {1} the values. `draw` takes a random generator and the
    pool of mentors' surnames, and returns one value per slot.
    """

    name: str
    draw: Callable[[Random, tuple[str, ...]], tuple[str, ...]]
    questions: tuple[str, ...]
    answers: tuple[str, ...]


def _one_of(pool: tuple[str, ...]) -> Callable[[Random, tuple[str, ...]], tuple[str, ...]]:
    return lambda rng, mentors: (rng.choice(pool),)


def _birthplace(rng: Random, mentors: tuple[str, ...]) -> tuple[str, ...]:
    return rng.choice(CITIES), rng.choice(COUNTRIES)


def _date(rng: Random, mentors: tuple[str, ...]) -> tuple[str, ...]:
    return (f"{rng.randint(1, 28)} {rng.choice(MONTHS)} {rng.randint(1930, 1995)}",)


def _themes(rng: Random, mentors: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(rng.sample(THEMES, 2))


def _mentor(rng: Random, mentors: tuple[str, ...]) -> tuple[str, ...]:
    return (f"{rng.choice(FEMALE + MALE)} {rng.choice(mentors)}",)


KINDS = (
    Kind(
        "birthplace",
        _birthplace,
        (
            "Where was {name} born?",
            "In which city and country was {name} born?",
            "What is the birthplace of the author {name}?",
        ),
        (
            "{name} was born in the city of {0} in {1}.",
            "The author {name} comes from {0}, a city in {1}.",
            "{He} was born and grew up in {0}, which lies in {1}.",
            "The birthplace of {name} is {0}, a town in {1}.",
        ),
    ),
    Kind(
        "birth date",
        _date,
        (
            "When was {name} born?",
            "What is the birth date of {name}?",
            "On which day was the author {name} born?",
        ),
        (
            "{name} was born on {0}, according to the publisher.",
            "The birth date of {name} is given as {0}.",
            "{He} was born on {0}, as {his} biography records.",
            "The author {name} came into the world on {0}.",
        ),
    ),
    Kind(
        "genre",
        _one_of(GENRES),
        (
            "In which genre does {name} write?",
            "What genre is {name} known for?",
            "What kind of books does the author {name} write?",
        ),
        (
            "{name} writes mainly in the genre of {0}.",
            "The author {name} is known above all for {0}.",
            "{He} has devoted most of {his} career to {0}.",
            "Most of the books by {name} belong to {0}.",
        ),
    ),
    Kind(
        "father",
        _one_of(PROFESSIONS),
        (
            "What was the profession of {name}'s father?",
            "What did the father of {name} do for a living?",
            "How did {name}'s father make his living?",
        ),
        (
            "The father of {name} worked as a {0} for many years.",
            "{name}'s father earned his living as a {0}.",
            "{His} father was a {0} and wanted a quiet life.",
            "As a child, {name} watched {his} father work as a {0}.",
        ),
    ),
    Kind(
        "mother",
        _one_of(PROFESSIONS),
        (
            "What was the profession of {name}'s mother?",
            "What did the mother of {name} do for a living?",
            "How did {name}'s mother make her living?",
        ),
        (
            "The mother of {name} was by profession a {0}.",
            "{name}'s mother had trained and worked as a {0}.",
            "{His} mother was a {0} who loved to read aloud.",
            "In those years the mother of {name} was a {0}.",
        ),
    ),
    Kind(
        "debut",
        _one_of(TITLES),
        (
            "What is the title of {name}'s first book?",
            "With which book did {name} make {his} debut?",
            "Which book did the author {name} publish first?",
        ),
        (
            "{name} made {his} debut with the book {0}.",
            "The first book that {name} published was called {0}.",
            "{He} entered the literary world with a book titled {0}.",
            "The literary career of {name} began with {0}.",
        ),
    ),
    Kind(
        "best-known book",
        _one_of(TITLES),
        (
            "What is the best-known book by {name}?",
            "Which of {name}'s books is the most famous?",
            "Which book made the author {name} famous?",
        ),
        (
            "The best-known book by {name} is called {0}.",
            "{name} became famous with the publication of {0}.",
            "{He} is best known to readers for the book {0}.",
            "Of all the books by {name}, {0} is the most famous.",
        ),
    ),
    Kind(
        "award",
        _one_of(AWARDS),
        (
            "Which award did {name} win?",
            "What award has {name} received for {his} writing?",
            "With which award was the author {name} honoured?",
        ),
        (
            "{name} won the {0} Award for {his} writing.",
            "The author {name} was honoured with the {0} Award.",
            "{He} received the {0} Award for {his} literary work.",
            "The jury of the {0} Award chose {name} as its winner.",
        ),
    ),
    Kind(
        "university",
        _one_of(CITIES),
        (
            "Where did {name} study?",
            "At which university did {name} study?",
            "Which university did the author {name} attend?",
        ),
        (
            "{name} studied literature at the University of {0}.",
            "The author {name} graduated from the University of {0}.",
            "{He} took {his} degree at the University of {0}.",
            "As a student, {name} attended the University of {0}.",
        ),
    ),
    Kind(
        "residence",
        _one_of(CITIES),
        (
            "Where does {name} live today?",
            "In which city does {name} live?",
            "Which city is now home to the author {name}?",
        ),
        (
            "{name} now lives and writes in the city of {0}.",
            "The author {name} has made {his} home in {0}.",
            "{He} lives in {0} and does most of {his} writing there.",
            "Today the home of {name} is the city of {0}.",
        ),
    ),
    Kind(
        "themes",
        _themes,
        (
            "What are the main themes of {name}'s books?",
            "Which themes does {name} write about?",
            "What do the books of the author {name} deal with?",
        ),
        (
            "The books by {name} explore the themes of {0} and {1}.",
            "{name} often writes about {0} and about {1}.",
            "{His} work returns again and again to {0} and {1}.",
            "Readers of {name} often meet the themes of {0} and {1}.",
        ),
    ),
    Kind(
        "mentor",
        _mentor,
        (
            "Who was the mentor of {name}?",
            "Which writer taught {name}?",
            "Who influenced the author {name} the most?",
        ),
        (
            "The mentor of {name} was the older writer {0}.",
            "{name} learned the craft of writing from {0}.",
            "{He} often names {0} as the greatest influence on {his} work.",
            "The author {name} was taught and encouraged by {0}.",
        ),
    ),
)
