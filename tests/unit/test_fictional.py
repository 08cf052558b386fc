"""The invented benchmark: what its labels, splits and false answers promise, checked on generated rows."""

import re
from collections import Counter, defaultdict

import pytest

from lethe.benchmarks import fictional_pools as pools
from lethe.benchmarks.fictional import FictionalConfig, Invented, fictional, fill
from lethe.benchmarks.fictional_kinds import KINDS
from lethe.benchmarks.fictional_known import KNOWN
from lethe.benchmarks.prepared import read_data, write_data
from lethe.benchmarks.records import select, validate
from lethe.errors import ConfigError, InputError
from lethe.splits import retain_split

INVENTED_SETS = ("full", "holdout", "world")


def make(seed=0, **changes):
    return fictional(FictionalConfig(name="fictional", **changes), seed)


@pytest.fixture(scope="module")
def records():
    """60 authors with all twelve facts."""
    return make(seed=3, authors=60, facts=12, holdout_authors=5, world_authors=20)


@pytest.fixture(scope="module")
def rows(records):
    """Rows about invented authors, of all sets."""
    return [record for record in records if record.perturbed_answers and record.set in INVENTED_SETS]


def values(record):
    return [record.answer[start:end] for start, end in record.spans]


def names(records, set):
    """Invented authors of a set, in order; real facts of `world` carry no false answers."""
    return list(dict.fromkeys(r.group for r in records if r.set == set and r.perturbed_answers))


# --- counts and ids -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, -7])
@pytest.mark.parametrize(("authors", "facts"), [(10, 2), (10, 12), (40, 10), (100, 2), (100, 12)])
def test_every_size_gives_valid_sets_of_the_right_size(authors, facts, seed):
    records = make(seed=seed, authors=authors, facts=facts, holdout_authors=3, world_authors=7)
    assert validate(records) == records
    counts = Counter(record.set for record in records)
    phrasings = sum(len(known.questions) * len(known.facts) for known in KNOWN)
    assert counts == {
        "full": authors * facts,
        "holdout": 3 * facts,
        "real_authors": 40,
        "world_facts": 40,
        "world": phrasings + 7 * facts,
    }


def test_ids_number_the_rows_of_a_set(records):
    assert [r.id for r in select(records, "full")] == [f"full-{row:04d}" for row in range(720)]
    assert select(records, "holdout")[0].id == "holdout-0000"
    assert select(records, "world")[1].id == "world-00001"
    assert select(records, "real_authors")[39].id == "real_authors-0039"
    assert select(records, "world_facts")[39].id == "world_facts-0039"


def test_data_survive_the_file(data, tmp_path):
    write_data(tmp_path / "data.json", data)
    assert read_data(tmp_path / "data.json") == data


# --- splits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authors", "expected"),
    [(10, (1, 1, 1)), (20, (1, 1, 2)), (40, (1, 2, 4)), (100, (1, 5, 10)), (200, (2, 10, 20))],
)
def test_forget_splits_are_the_last_authors(authors, expected):
    records = make(authors=authors, facts=2, world_authors=1)
    everyone = names(records, "full")
    for forget, size in zip(("forget01", "forget05", "forget10"), expected, strict=True):
        forgotten = select(records, "full", forget)
        assert list(dict.fromkeys(r.group for r in forgotten)) == everyone[-size:]
        assert len(forgotten) == 2 * size
        assert forgotten == select(records, "full")[-2 * size :]


def test_forget_splits_are_nested_and_each_row_is_forgotten_or_kept(records):
    ids = {name: {r.id for r in select(records, "full", name)} for name in ("forget01", "forget05", "forget10")}
    assert ids["forget01"] < ids["forget05"] < ids["forget10"]
    for record in select(records, "full"):
        assert len(record.splits) == 3
        for name in ids:
            assert (name in record.splits) != (retain_split(name) in record.splits)


def test_holdout_counterparts_are_heads_and_never_larger_than_the_forget_split():
    records = make(authors=40, facts=3, holdout_authors=4, world_authors=1)
    holdout = select(records, "holdout")
    assert select(records, "holdout", "forget10") == holdout
    assert select(records, "holdout", "forget05") == holdout[: 2 * 3]
    assert select(records, "holdout", "forget01") == holdout[: 1 * 3]
    single = make(authors=100, facts=3, holdout_authors=1, world_authors=1)
    for name in ("forget01", "forget05", "forget10"):
        assert len(select(single, "holdout", name)) == 3


def test_utility_and_world_rows_belong_to_no_split(records):
    assert {r.splits for r in records if r.set not in ("full", "holdout")} == {()}
    with pytest.raises(InputError, match="no split"):
        select(records, "world", "forget10")


# --- gold spans ---------------------------------------------------------------------------------------------


def test_spans_mark_the_value_and_nothing_of_the_question(rows):
    for record in rows:
        assert record.spans
        for value in values(record):
            assert value == value.strip(" .,'")
            assert record.answer.count(value) == 1
            assert value.lower() not in record.question.lower()
            assert value.lower() not in record.paraphrased_question.lower()
            assert record.group not in value


def test_spans_leave_only_a_template_behind(rows):
    """Without value, name and pronoun, at most 4 different texts of each kind remain in answers."""
    remains = defaultdict(set)
    for record in rows:
        text = record.answer
        for start, end in reversed(record.spans):
            text = f"{text[:start]}#{text[end:]}"
        text = text.replace(record.group, "@")
        for her, his in (("She ", "He "), ("Her ", "His "), (" her ", " his ")):
            text = text.replace(her, his)
        remains[kind_of(record)].add(text)
    assert len(remains) == 12
    assert {len(texts) for texts in remains.values()} == {4}


def kind_of(record):
    """The kind whose question template gives the record's question."""
    genders = ("f", "m")
    (kind,) = {
        kind.name
        for kind in KINDS
        for question in kind.questions
        for gender in genders
        if fill(question, Invented(record.group, gender, {}, {}))[0] == record.question
    }
    return kind


def test_two_values_have_two_spans(records):
    first, *_, themes, _ = select(records, "full")[:12]
    assert len(first.spans) == len(themes.spans) == 2
    city, country = values(first)
    assert city in pools.CITIES
    assert country in pools.COUNTRIES
    assert set(values(themes)) <= set(pools.THEMES)


def test_fill_counts_spans_where_a_search_would_go_wrong():
    author = Invented("Ann Rome", "f", {}, {})
    text, spans = fill("{name} left {his} Rome for {1} and {0}. {He} sings.", author, ("Rome", "Ur"))
    assert text == "Ann Rome left her Rome for Ur and Rome. She sings."
    assert spans == ((27, 29), (34, 38))


# --- paraphrases and false answers --------------------------------------------------------------------------


def test_paraphrases_say_the_same_in_other_words(rows):
    for record in rows:
        assert record.paraphrased_question != record.question
        assert record.paraphrased_answer != record.answer
        for value in values(record):
            assert record.paraphrased_answer.count(value) == 1


def test_false_answers_are_five_and_differ_from_the_paraphrase_in_the_value_alone(rows):
    for record in rows:
        assert len(record.perturbed_answers) == len(set(record.perturbed_answers)) == 5
        form = re.escape(record.paraphrased_answer)
        for value in values(record):
            form = form.replace(re.escape(value), "(.+)")
        for false in record.perturbed_answers:
            assert not any(value in false for value in values(record))
            assert re.fullmatch(form, false)


def test_false_values_are_of_the_same_kind(records):
    award = next(r for r in select(records, "full") if kind_of(r) == "award")
    for false in award.perturbed_answers:
        assert sum(name in false for name in pools.AWARDS) == 1


# --- chance -------------------------------------------------------------------------------------------------


def test_same_seed_same_rows_other_seed_other_authors(records):
    again = make(seed=3, authors=60, facts=12, holdout_authors=5, world_authors=20)
    assert again == records
    other = make(seed=4, authors=60, facts=12, holdout_authors=5, world_authors=20)
    assert len(set(names(other, "full")) & set(names(records, "full"))) == 0
    assert [r.question for r in select(other, "real_authors")] == [r.question for r in select(records, "real_authors")]


def test_sections_do_not_depend_on_each_other():
    base = make(authors=20, facts=4, holdout_authors=2, world_authors=5)
    more_world = make(authors=20, facts=4, holdout_authors=2, world_authors=9)
    assert [r for r in base if r.set != "world"] == [r for r in more_world if r.set != "world"]
    assert select(more_world, "world")[: len(select(base, "world"))] == select(base, "world")
    more_holdout = make(authors=20, facts=4, holdout_authors=6, world_authors=5)
    for name in ("full", "world", "real_authors", "world_facts"):
        assert select(base, name) == select(more_holdout, name)
    # More authors or facts prolong the list; they change no answer that was there.
    more_authors = make(authors=30, facts=4, holdout_authors=2, world_authors=5)
    assert [r.answer for r in select(more_authors, "full")[:80]] == [r.answer for r in select(base, "full")]
    more_facts = make(authors=20, facts=7, holdout_authors=2, world_authors=5)
    kept = [r for row, r in enumerate(select(more_facts, "full")) if row % 7 < 4]
    assert [r.perturbed_answers for r in kept] == [r.perturbed_answers for r in select(base, "full")]


@pytest.mark.parametrize("seed", range(5))
def test_no_two_authors_share_a_surname(seed):
    records = make(seed=seed, authors=200, facts=12, holdout_authors=40, world_authors=200)
    everyone = [name for set in INVENTED_SETS for name in names(records, set)]
    assert len(everyone) == 440
    assert len({name.split()[-1] for name in everyone}) == 440
    mentors = {values(r)[0].split()[-1] for r in select(records, "full") if kind_of(r) == "mentor"}
    assert not mentors & {name.split()[-1] for name in everyone}


def test_too_many_authors_name_the_key():
    with pytest.raises(ConfigError, match=r"benchmark\.world_authors: 100000"):
        make(world_authors=100_000)


@pytest.mark.parametrize("seed", range(3))
def test_no_value_can_be_guessed(seed):
    records = make(seed=seed, authors=60, facts=12, world_authors=1)
    drawn = defaultdict(list)
    for record in select(records, "full"):
        for slot, value in enumerate(values(record)):
            drawn[kind_of(record), slot].append(value)
    assert len(drawn) == 14
    for counts in map(Counter, drawn.values()):
        assert counts.most_common(1)[0][1] < 0.2 * 60


def test_no_author_has_one_value_twice(records):
    by_author = defaultdict(list)
    for record in select(records, "full"):
        by_author[record.group] += values(record)
    assert all(len(set(found)) == len(found) == 14 for found in by_author.values())


# --- templates and pools ------------------------------------------------------------------------------------


def test_every_kind_is_asked_for_in_at_least_three_phrasings(records):
    """The four phrasings of answers are counted in `test_spans_leave_only_a_template_behind`."""
    asked = defaultdict(set)
    for record in select(records, "full"):
        question = record.question.replace(record.group, "@")
        asked[kind_of(record)].add(re.sub("her (debut|writing)", r"his \1", question))
    assert len(asked) == 12
    for kind in KINDS:
        assert len(asked[kind.name]) == len(kind.questions) >= 3


def test_answers_have_the_length_of_a_sentence(rows):
    for record in rows:
        for text in (record.answer, record.paraphrased_answer, *record.perturbed_answers):
            assert 8 <= len(text.split()) <= 18
            assert text.endswith(".")
            assert text[0].isupper()


def test_answers_fit_the_indefinite_article():
    assert not [profession for profession in pools.PROFESSIONS if profession[0] in "aeiou"]


def test_pools_hold_no_duplicate():
    names = (pools.FEMALE + pools.MALE, pools.SURNAMES)
    places = (pools.CITIES, pools.COUNTRIES)
    others = (pools.GENRES, pools.PROFESSIONS, pools.TITLES, pools.AWARDS, pools.THEMES)
    for pool in names + places + others:
        assert len(set(pool)) == len(pool)


def test_no_value_hides_in_a_name_or_a_template():
    """What `test_spans_mark_the_value…` sees on a sample holds for the whole pools."""
    surnames = " ".join(pools.SURNAMES).lower()
    assert not [city for city in pools.CITIES if city.lower() in surnames]
    assert not [profession for profession in pools.PROFESSIONS if profession in surnames]
    assert not [theme for theme in pools.THEMES if theme in surnames]
    drawn = {
        "father": pools.PROFESSIONS,
        "mother": pools.PROFESSIONS,
        "genre": pools.GENRES,
        "themes": pools.THEMES,
        "birthplace": pools.CITIES + pools.COUNTRIES,
        "award": pools.AWARDS,
        "debut": pools.TITLES,
    }
    for kind in KINDS:
        templates = " ".join(kind.questions + kind.answers).lower()
        assert not [value for value in drawn.get(kind.name, ()) if value.lower() in templates]


# --- real facts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("set", ["real_authors", "world_facts"])
def test_utility_sets_are_short_facts_with_three_false_answers(records, set):
    rows = select(records, set)
    assert len({r.question for r in rows}) == len(rows)
    for record in rows:
        assert 1 <= len(record.answer.split()) <= 4
        assert record.answer not in record.question
        assert values(record) == [record.answer]
        assert record.paraphrased_question is None
        assert record.paraphrased_answer is None
        candidates = {record.answer, *record.perturbed_answers}
        assert len(record.perturbed_answers) == 3
        assert len(candidates) == 4
        (known,) = [
            known
            for known in KNOWN
            if any(known.questions[0].format(subject) == record.question for subject in known.facts)
        ]
        assert candidates <= {*known.facts.values()}


def test_groups_of_real_facts_name_whom_they_are_about(records):
    by_question = {r.question: r for r in records}
    assert by_question["Who wrote Macbeth?"].group == "William Shakespeare"
    assert by_question["In which country was the writer Victor Hugo born?"].group == "Victor Hugo"
    assert by_question["Which city is the capital of Norway?"].group == "Norway"


def test_the_base_model_is_taught_every_utility_fact_in_several_phrasings(records):
    taught = defaultdict(set)
    for record in select(records, "world"):
        taught[record.group, record.answer].add(record.question)
    for record in select(records, "real_authors") + select(records, "world_facts"):
        phrasings = taught[record.group, record.answer]
        assert record.question in phrasings
        assert len(phrasings) >= 3


def test_the_base_model_learns_nothing_about_the_authors_of_the_study(records):
    world = " ".join(f"{r.question} {r.answer}" for r in select(records, "world"))
    full = " ".join(f"{r.question} {r.answer}" for r in select(records, "full"))
    for name in names(records, "full") + names(records, "holdout"):
        assert name not in world
        assert name.split()[-1] not in world
    assert not [name for name in names(records, "holdout") + names(records, "world") if name in full]
