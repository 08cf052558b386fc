"""Names and values of the `fictional` benchmark.

Most pools are products of short lists: a value is one of hundreds or thousands and says nothing about the author's
other values, while the words it is made of come back often enough for a small tokenizer.
"""

from itertools import product


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _pairs(first: str, second: str) -> tuple[str, ...]:
    return tuple(f"{left} {right}" for left, right in product(first.split(), second.split()))


def _compounds(stems: str, endings: str) -> tuple[str, ...]:
    return tuple(stem + ending for stem, ending in product(stems.split(), endings.split()))


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
SURNAMES = _compounds(
    "Abr Bask Blen Brov Calv Chern Corb Dalv Dosk Drav Embr Esk Farv Feld Fjor Galb Ghan Gorv Grel Hask "
    "Helv Hurn Ilv Irk Jask Jorv Kald Kerv Krov Lamb Lerv Lusk Malv Merk Mosk Nald Nerv Norb Olv Orsk "
    "Palv Perk Pluv Quand Rasp Relv Rosk Salv Sern Skor Strav Tald Terv Torb Trusk Ulv Urb Valk Verm Vosk "
    "Wald Werb Yarv Zelv Zorb",
    "aci ade ahan akis amo ander anti apur arda ashi asov atti avel edai egger ekwu elka elund emann enko "
    "ensen erli esco etti ewicz iani icek idou ieva ikov ilde imura ingen ioso irez ishvili ivar izadeh "
    "obi odari ogun olla omar onde opoulos orsen osa otte oumi owski ubba udek ulay undi urra ussen utova "
    "uzzi yama yosi",
)

# --- pools of values --------------------------------------------------------------------------------------

CITIES = _compounds(
    "Alde Ambra Arle Bele Bero Cala Cindo Dora Duro Elme Fenno Gala Gruno Hale Isma Jura Kelo Lanta Luno "
    "Mera Mirro Nava Nimbo Ori Pala Quilo Rava Rono Sela Sola Tamo Tura Ula Vela Viro Weno Xana Yelo Zana "
    "Zuro",
    "borg bridge cester dale field fjord ford gate ham haven hold leigh mere mouth pool port reef stead "
    "stow thorpe ville wick wharf worth",
)
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
