"""A few real facts, for the utility sets of the `fictional` benchmark."""

from dataclasses import dataclass
from typing import Literal


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
