"""What the `fictional` benchmark is made of: names, value pools, sentence templates and a few real facts.

Most pools are products of short lists: a value is one of hundreds or thousands and says nothing about the
author's other values, while the words it is made of come back often enough for a small tokenizer. Templates
hold every word that is not the fact: professions all start with a consonant ("a {0}"), awards and
universities leave "Award" and "University of" to the template. A value is informative from end to end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Literal


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _pairs(first: str, second: str) -> tuple[str, ...]:
    return tuple(f"{left} {right}" for left, right in product(first.split(), second.split()))


# --- names ------------------------------------------------------------------------------------------------

FEMALE = _words(
    "Adela Bianca Celeste Daphne Edith Farida Greta Hanna Ingrid Jasmin Katya Leonie Marta Nadia Odile "
    "Paloma Renata Sabine Tamar Ursula Vesna Wanda Yasmin Zelda Amina Beatriz Chiara Dorothea Elif Freya "
    "Halina Ilse Judith Kirsten Lucia Miriam Noor Olga Petra Rosalind"
)
MALE = _words(
    "Anton Bruno Casper Dario Emil Felix Gustav Hamid Igor Jonas Karim Lorenz Marcus Nils Oscar Pavel "
    "Quentin Rafael Stefan Tobias Ulrich Viktor Walter Yusuf Zoltan Aldo Benedikt Cyril Dmitri Edgar "
    "Fabian Giorgio Hugo Ivan Joachim Kaspar Leopold Milan Niklas Rupert"
)
_SURNAME_STEMS = _words(
    "Abr Bask Blen Brov Calv Chern Corb Dalv Dosk Drav Embr Esk Farv Feld Fjor Galb Ghan Gorv Grel Hask "
    "Helv Hurn Ilv Irk Jask Jorv Kald Kerv Krov Lamb Lerv Lusk Malv Merk Mosk Nald Nerv Norb Olv Orsk "
    "Palv Perk Pluv Quand Rasp Relv Rosk Salv Sern Skor Strav Tald Terv Torb Trusk Ulv Urb Valk Verm Vosk "
    "Wald Werb Yarv Zelv Zorb"
)
_SURNAME_ENDINGS = _words(
    "aci ade ahan akis amo ander anti apur arda ashi asov atti avel edai egger ekwu elka elund emann enko "
    "ensen erli esco etti ewicz iani icek idou ieva ikov ilde imura ingen ioso irez ishvili ivar izadeh "
    "obi odari ogun olla omar onde opoulos orsen osa otte oumi owski ubba udek ulay undi urra ussen utova "
    "uzzi yama yosi"
)
SURNAMES = tuple(stem + ending for stem, ending in product(_SURNAME_STEMS, _SURNAME_ENDINGS))

# --- pools of values --------------------------------------------------------------------------------------

_CITY_STEMS = _words(
    "Alde Ambra Arle Bele Bero Cala Cindo Dora Duro Elme Fenno Gala Gruno Hale Isma Jura Kelo Lanta Luno "
    "Mera Mirro Nava Nimbo Ori Pala Quilo Rava Rono Sela Sola Tamo Tura Ula Vela Viro Weno Xana Yelo Zana "
    "Zuro"
)
_CITY_ENDINGS = _words(
    "borg bridge cester dale field fjord ford gate ham haven hold leigh mere mouth pool port reef stead "
    "stow thorpe ville wick wharf worth"
)
CITIES = tuple(stem + ending for stem, ending in product(_CITY_STEMS, _CITY_ENDINGS))
COUNTRIES = _words(
    "Albania Argentina Australia Austria Belgium Bolivia Brazil Bulgaria Canada Chile Croatia Cuba "
    "Denmark Ecuador Egypt Estonia Ethiopia Finland France Germany Ghana Greece Hungary Iceland India "
    "Indonesia Ireland Italy Jamaica Japan Kenya Latvia Malaysia Mexico Mongolia Morocco Nepal Nigeria "
    "Norway Peru Poland Portugal Romania Senegal Spain Sweden Thailand Tunisia Turkey Uruguay Vietnam "
    "Zambia"
)
MONTHS = _words("January February March April May June July August September October November December")
GENRES = _pairs(
    "absurdist alpine biblical colonial cosmic domestic epic gothic historical lyrical maritime "
    "medieval political pastoral psychological romantic rural satirical surreal urban",
    "adventure biography comedy drama fantasy horror memoir mystery poetry tragedy",
)
PROFESSIONS = _words(
    "baker barber beekeeper blacksmith bookbinder bricklayer butcher carpenter chemist clockmaker cobbler "
    "dentist diplomat doctor driver farmer firefighter fisherman florist gardener geologist glazier "
    "goldsmith hatter hunter jeweller judge lawyer librarian locksmith magician mathematician mechanic "
    "midwife miller miner musician nurse painter pharmacist photographer physicist pilot plumber "
    "policeman postman potter priest roofer sailor sculptor shepherd soldier stonemason surgeon surveyor "
    "tailor tanner translator veterinarian waiter weaver"
)
TITLES = _pairs(
    "Amber Ancient Bitter Broken Burning Copper Crimson Distant Drowned Eastern Empty Fallen Final "
    "Floating Forgotten Frozen Gentle Hidden Hollow Hungry Ivory Jagged Lonely Lost Midnight Moonlit "
    "Naked Narrow Pale Patient Restless Sacred Scarlet Secret Seventh Shallow Silent Sleeping Stolen "
    "Sunken Tender Thirsty Velvet Wandering Whispering Wild Winter Wounded",
    "Acre Anchor Archive Bell Bridge Candle Cathedral Choir Compass Corridor Desert Dynasty Echo Empire "
    "Feather Forest Garden Glacier Harbour Horizon Infant Island Kingdom Labyrinth Ladder Lantern "
    "Letter Lighthouse Mirror Monsoon Mountain Needle Oath Orchard Palace Pilgrim Prophet Puzzle Quarry "
    "River Saddle Shadow Sparrow Staircase Summer Theatre Tide Tower Valley Voyage Window",
)
AWARDS = _pairs(
    "Bronze Cobalt Coral Crystal Ebony Emerald Golden Granite Iron Jade Marble Onyx Pearl Platinum Ruby "
    "Sapphire Silver Topaz",
    "Acorn Arrow Beacon Chalice Comet Crown Eagle Falcon Flame Heron Inkwell Laurel Lyre Oak Parchment "
    "Phoenix Quill Rose Scroll Shield Star Swan Torch Wreath",
)
THEMES = _words(
    "ambition betrayal bravery childhood corruption courage cruelty despair destiny disease duty envy "
    "exile faith famine forgiveness freedom friendship greed grief guilt honour hope hunger illness "
    "inheritance injustice innocence jealousy justice kinship loneliness loyalty madness marriage memory "
    "migration motherhood nature nostalgia obsession poverty pride rebellion redemption revenge sacrifice "
    "shame silence slavery solitude superstition survival trust vanity warfare wealth wisdom youth"
)

# --- kinds of facts ---------------------------------------------------------------------------------------


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

# --- real facts -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """Real facts of one kind, for the utility sets; `questions[0]` is the phrasing that is evaluated.

    Attributes:
        set: "real_authors" or "world_facts".
        group: whether the subject of the question or its answer names whom the record is about.
        questions: phrasings with the slot {0}.
        facts: subject -> short answer; the other answers serve as false ones.
    """

    set: Literal["real_authors", "world_facts"]
    group: Literal["subject", "answer"]
    questions: tuple[str, ...]
    facts: dict[str, str]


KNOWN = (
    Known(
        "real_authors",
        "answer",
        (
            "Who wrote {0}?",
            "Who is the author of {0}?",
            "By whom was {0} written?",
            "Name the author of {0}.",
        ),
        {
            "Billy Budd": "Herman Melville",
            "Emma": "Jane Austen",
            "Silas Marner": "George Eliot",
            "Dracula": "Bram Stoker",
            "Candide": "Voltaire",
            "Faust": "Johann Wolfgang von Goethe",
            "The Decameron": "Giovanni Boccaccio",
            "The Trial": "Franz Kafka",
            "Dubliners": "James Joyce",
            "Anna Karenina": "Leo Tolstoy",
            "The Seagull": "Anton Chekhov",
            "A Doll's House": "Henrik Ibsen",
            "The Divine Comedy": "Dante Alighieri",
            "The Magic Mountain": "Thomas Mann",
            "Mrs Dalloway": "Virginia Woolf",
            "The Plague": "Albert Camus",
            "Madame Bovary": "Gustave Flaubert",
            "No Longer at Ease": "Chinua Achebe",
            "Beloved": "Toni Morrison",
            "Macbeth": "William Shakespeare",
            "Oliver Twist": "Charles Dickens",
            "Treasure Island": "Robert Louis Stevenson",
            "The Time Machine": "Herbert George Wells",
            "Heart of Darkness": "Joseph Conrad",
        },
    ),
    Known(
        "real_authors",
        "subject",
        (
            "In which country was the writer {0} born?",
            "What is the country of birth of {0}?",
            "Which country does the writer {0} come from?",
        ),
        {
            "Victor Hugo": "France",
            "Pablo Neruda": "Chile",
            "Jorge Luis Borges": "Argentina",
            "Haruki Murakami": "Japan",
            "Astrid Lindgren": "Sweden",
            "Hans Christian Andersen": "Denmark",
            "Naguib Mahfouz": "Egypt",
            "Wole Soyinka": "Nigeria",
            "Rabindranath Tagore": "India",
            "Umberto Eco": "Italy",
            "Margaret Atwood": "Canada",
            "Fernando Pessoa": "Portugal",
            "Bertolt Brecht": "Germany",
            "Lope de Vega": "Spain",
            "Oscar Wilde": "Ireland",
            "Alexander Pushkin": "Russia",
        },
    ),
    Known(
        "world_facts",
        "subject",
        (
            "Which city is the capital of {0}?",
            "What is the name of the capital of {0}?",
            "Name the capital of {0}.",
        ),
        {
            "Norway": "Oslo",
            "Portugal": "Lisbon",
            "Greece": "Athens",
            "Austria": "Vienna",
            "Hungary": "Budapest",
            "Poland": "Warsaw",
            "Ireland": "Dublin",
            "Peru": "Lima",
            "Cuba": "Havana",
            "Kenya": "Nairobi",
            "Thailand": "Bangkok",
            "Finland": "Helsinki",
            "Vietnam": "Hanoi",
            "Iceland": "Reykjavik",
        },
    ),
    Known(
        "world_facts",
        "subject",
        (
            "On which continent does {0} lie?",
            "Which continent is {0} part of?",
            "Name the continent to which {0} belongs.",
        ),
        {
            "Nigeria": "Africa",
            "Morocco": "Africa",
            "Brazil": "South America",
            "Bolivia": "South America",
            "Mongolia": "Asia",
            "Nepal": "Asia",
            "Belgium": "Europe",
            "Romania": "Europe",
            "Mexico": "North America",
            "Guatemala": "North America",
        },
    ),
    Known(
        "world_facts",
        "subject",
        (
            "Which chemical symbol stands for {0}?",
            "How is {0} written in the periodic table?",
            "Give the chemical symbol of {0}.",
        ),
        {
            "gold": "Au",
            "silver": "Ag",
            "iron": "Fe",
            "oxygen": "O",
            "sodium": "Na",
            "potassium": "K",
            "copper": "Cu",
            "lead": "Pb",
        },
    ),
    Known(
        "world_facts",
        "subject",
        ("What colour is {0}?", "Which colour does {0} have?", "Name the colour of {0}."),
        {
            "a ripe lemon": "Yellow",
            "fresh snow": "White",
            "coal": "Black",
            "fresh grass": "Green",
            "blood": "Red",
            "a ripe pumpkin": "Orange",
            "a cloudless midday sky": "Blue",
            "milk chocolate": "Brown",
        },
    ),
)
