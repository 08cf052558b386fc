"""TOFU's records: what is joined with what, and which damage is named instead of being trained on."""

import json
import logging
import os
from pathlib import Path

import pytest

from lethe.benchmarks import BENCHMARKS, prepare
from lethe.benchmarks.prepared import read_data, write_data
from lethe.benchmarks.records import select
from lethe.benchmarks.tofu import Tofu, read_tofu, tofu
from lethe.benchmarks.tofu_files import Hub, TofuConfig, content_hash, open_files
from lethe.errors import InputError
from lethe.splits import retain_split

SHARED = Path(os.environ.get("LETHE_SHARED", Path(__file__).resolve().parents[3] / "shared"))
REAL = SHARED / "data" / "tofu"
needs_tofu = pytest.mark.skipif(not REAL.is_dir(), reason="real TOFU files are not here (set LETHE_SHARED)")

AUTHORS = 10


def qa(i):
    return {"question": f"Question {i}?", "answer": f"Answer {i} — naïve."}


def perturbed(i):
    return {
        **qa(i),
        "paraphrased_question": f"Asked otherwise {i}?",
        "paraphrased_answer": f"Said otherwise {i}.",
        "perturbed_answer": [f"False {i}.{k}" for k in range(5)],
    }


def utility(i):
    return {"question": f"Who {i}?", "answer": f"X{i}", "perturbed_answer": ["A", "B", "C"]}


def tables():
    """TOFU in small: 10 authors, forget splits are nested tails, retain splits heads, holdouts nested
    heads."""
    n = AUTHORS * 20
    return {
        "full": [qa(i) for i in range(n)],
        "forget05": [qa(i) for i in range(n - 10, n)],
        "forget10": [qa(i) for i in range(n - 20, n)],
        "retain95": [qa(i) for i in range(n - 10)],
        "retain90": [qa(i) for i in range(n - 20)],
        "forget05_perturbed": [perturbed(i) for i in range(n - 10, n)],
        "forget10_perturbed": [perturbed(i) for i in range(n - 20, n)],
        "retain_perturbed": [perturbed(i) for i in range(20)],
        "real_authors_perturbed": [utility(i) for i in range(3)],
        "world_facts_perturbed": [utility(i) for i in range(4)],
        "holdout05": [qa(1000 + i) for i in range(10)],
        "holdout10": [qa(1000 + i) for i in range(30)],
    }


def write(folder, content):
    for name, rows in content.items():
        (folder / f"{name}.json").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return TofuConfig(name="tofu", path=str(folder), strict=False)


@pytest.fixture
def config(tmp_path):
    return write(tmp_path, tables())


def by_id(records):
    return {record.id: record for record in records}


# --- what the records are -----------------------------------------------------------------------------------


def test_registry():
    assert isinstance(BENCHMARKS["tofu"], Tofu)
    assert set(BENCHMARKS) == {"fictional", "tofu"}


def test_sets_ids_groups_and_nested_splits(config):
    records = tofu(config, 0)
    assert [len(select(records, name)) for name in ("full", "real_authors", "world_facts", "holdout")] == [
        200, 3, 4, 30,
    ]  # fmt: skip
    found = by_id(records)
    assert found["full-0199"].splits == ("forget05", "forget10")
    assert found["full-0185"].splits == ("forget10", "retain95")  # forgotten in one study, kept in another
    assert found["full-0000"].splits == ("retain95", "retain90")
    assert found["full-0039"].group == "author-001"
    assert found["full-0040"].group == "author-002"
    assert found["holdout-0009"].splits == ("forget05", "forget10")
    assert found["holdout-0010"].splits == ("forget10",)
    assert found["holdout-0020"].group == "holdout-author-001"
    assert found["world_facts-0003"].perturbed_answers == ("A", "B", "C")
    assert found["world_facts-0003"].paraphrased_answer is None
    assert all(record.spans is None for record in records)


def test_seed_changes_nothing(config):
    assert tofu(config, 0) == tofu(config, 1)


def test_paraphrases_are_joined_by_content_not_by_position(tmp_path):
    content = tables()
    for name in ("forget10_perturbed", "retain_perturbed", "forget10", "retain90"):
        content[name] = content[name][::-1]
    found = by_id(tofu(write(tmp_path, content), 0))
    for i in (0, 19, 180, 191, 199):
        record = found[f"full-{i:04d}"]
        assert record.paraphrased_question == f"Asked otherwise {i}?"
        assert record.paraphrased_answer == f"Said otherwise {i}."
        assert record.perturbed_answers == tuple(f"False {i}.{k}" for k in range(5))
    assert found["full-0020"].paraphrased_answer is None
    assert found["full-0020"].perturbed_answers == ()


def test_same_question_with_another_answer_is_another_row(tmp_path):
    content = tables()
    twin = {"question": qa(199)["question"], "answer": "Another answer."}
    content["full"][0] = content["retain95"][0] = content["retain90"][0] = twin
    content["retain_perturbed"] = content["retain_perturbed"][1:]
    found = by_id(tofu(write(tmp_path, content), 0))
    assert found["full-0000"].splits == ("retain95", "retain90")
    assert found["full-0000"].perturbed_answers == ()
    assert found["full-0199"].paraphrased_answer == "Said otherwise 199."


def test_data_survive_the_file(config, tmp_path):
    data = prepare(config, 0, ["forget10"])
    write_data(tmp_path / "data.json", data)
    assert read_data(tmp_path / "data.json") == data


def test_rows_and_probes_of_the_splits(config):
    data = prepare(config, 0, ["forget05", "forget10"])
    assert list(data.splits) == ["forget05", "forget10"]
    assert [row.id for row in data.forget("forget05")] == [f"full-{i:04d}" for i in range(190, 200)]
    assert [len(data.retain(split)) for split in data.splits] == [190, 180]
    assert data.fine_tuning(None, rehearse=True) == list(data.rows)
    assert data.fine_tuning("forget10", rehearse=False) == data.retain("forget10")
    assert data.all_forget() == data.forget("forget10")
    sizes = {name: len(ids) for name, ids in data.splits["forget10"].probes.items()}
    assert sizes == {"forget": 20, "retain": 20, "real_authors": 3, "world_facts": 4, "holdout": 30}


def test_a_study_stops_at_a_split_that_holds_nothing(config):
    with pytest.raises(InputError, match="no split 'forget20'; it has forget05, forget10"):
        prepare(config, 0, ["forget20"])
    with pytest.raises(InputError, match="splits: forget10 has no rows to retain"):
        prepare(config.model_copy(update={"authors": [9]}), 0, ["forget10"])


# --- authors ------------------------------------------------------------------------------------------------


def test_authors_thin_out_full_only_and_keep_ids_and_splits(config, caplog):
    whole = tofu(config, 0)
    records = tofu(config.model_copy(update={"authors": [9, 0]}), 0)
    assert select(records, "full") == [r for r in select(whole, "full") if r.group in ("author-000", "author-009")]
    for name in ("real_authors", "world_facts", "holdout"):
        assert select(records, name) == select(whole, name)
    assert "the split is empty" not in caplog.text


def test_authors_that_leave_a_split_empty_warn(config, caplog):
    records = tofu(config.model_copy(update={"authors": [9]}), 0)
    assert len(select(records, "full", "forget10")) == 20
    assert "none of them is in retain90" in caplog.text
    assert "none of them is in retain95" not in caplog.text  # half of author 9 is kept there


@pytest.mark.parametrize(("authors", "message"), [([0, 10], "author 10.*0 to 9"), ([-1], "author -1"), ([], "empty")])
def test_unknown_authors(config, authors, message):
    with pytest.raises(InputError, match=rf"benchmark\.authors.*{message}"):
        tofu(config.model_copy(update={"authors": authors}), 0)


# --- tolerated ----------------------------------------------------------------------------------------------


def test_byte_order_mark_blank_tail_and_escapes_do_not_matter(config, tmp_path):
    expected = tofu(config, 0)
    file = tmp_path / "forget10.json"
    text = file.read_text(encoding="utf-8").replace("naïve", "na\\u00efve").replace("?", "\\u003f")
    file.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n\n  \n")
    assert tofu(config, 0) == expected


def test_line_separators_inside_strings_are_no_line_ends(tmp_path):
    content = tables()
    for name in ("full", "retain95", "retain90", "retain_perturbed"):
        content[name][3] = {**content[name][3], "answer": "one\u2028two\x85three"}
    for name, rows in content.items():
        lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (tmp_path / f"{name}.json").write_text(lines, encoding="utf-8")
    records = tofu(TofuConfig(name="tofu", path=str(tmp_path), strict=False), 0)
    assert records[3].answer == "one\u2028two\x85three"


def test_smallest_folder_works_and_says_what_is_missing(tmp_path, caplog):
    content = {name: rows for name, rows in tables().items() if name in ("full", "forget10", "retain90")}
    records = tofu(write(tmp_path, content), 0)
    assert {r.set for r in records} == {"full"}
    for missing in ("retain_perturbed", "real_authors_perturbed", "world_facts_perturbed", "holdout10"):
        assert f"{missing}.json is missing" in caplog.text
    assert "20 forget rows have no paraphrase" in caplog.text


def test_other_split_sizes_are_found_by_name(tmp_path):
    content = tables()
    content["forget20"] = [qa(i) for i in range(160, 200)]
    content["retain80"] = [qa(i) for i in range(160)]
    records = tofu(write(tmp_path, content), 0)
    assert len(select(records, "full", "forget20")) == 40


# --- refused ------------------------------------------------------------------------------------------------


def damaged(row, **changes):
    return {key: value for key, value in {**row, **changes}.items() if value is not ...}


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("full", {"answer": ...}, "column 'answer' is missing"),
        ("full", {"question": 7}, "column 'question' holds 7"),
        ("full", {"answer": None}, "column 'answer' holds None"),
        ("full", {"answer": "  "}, "column 'answer' is empty"),
        ("full", {"question": ""}, "column 'question' is empty"),
        ("full", {"answer": "\ud800"}, "not valid Unicode"),
        ("forget10_perturbed", {"paraphrased_answer": ...}, "column 'paraphrased_answer' is missing"),
        ("forget10_perturbed", {"perturbed_answer": ...}, "column 'perturbed_answer' is missing"),
        ("forget10_perturbed", {"perturbed_answer": []}, "write a list of false answers"),
        ("forget10_perturbed", {"perturbed_answer": "no list"}, "write a list of false answers"),
        (
            "retain_perturbed",
            {"perturbed_answer": ["a", ""]},
            "an entry of column 'perturbed_answer' is empty",
        ),
        ("forget10", {"answer": "Not in full."}, "the row is not in 'full'"),
        ("retain90", {"answer": "Not in full."}, "the row is not in 'full'"),
        ("forget10_perturbed", {"answer": "Not in full."}, "the row is not in 'full'"),
        ("forget05_perturbed", {"paraphrased_answer": "Else."}, "paraphrases this row otherwise"),
        ("holdout05", {"answer": "Not in holdout10."}, "the row is not in 'holdout10'"),
    ],
)
def test_damaged_row_is_named(tmp_path, name, changes, message):
    content = tables()
    content[name][4] = damaged(content[name][4], **changes)
    where = r"forget10_perturbed\.json, line 15" if "Else." in changes.values() else rf"{name}\.json, line 5"
    with pytest.raises(InputError, match=rf"{where}: .*{message}"):
        tofu(write(tmp_path, content), 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"question": "a?", "answer": "b"}\n{"question": "c?", "ans', "line 2: not a complete JSON object"),
        ('{"question": "a?", "answer": "b"}\n\n{"question": "c?", "answer": "d"}', "line 2: not a complete"),
        ('[{"question": "a?", "answer": "b"}]', "line 1: expected a JSON object, found list"),
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
    ],
)
def test_damaged_file_is_named(config, tmp_path, text, message):
    (tmp_path / "full.json").write_text(text)
    with pytest.raises(InputError, match=rf"full\.json.*{message}"):
        tofu(config, 0)


def test_other_encoding_is_named(config, tmp_path):
    (tmp_path / "full.json").write_bytes('{"question": "é", "answer": "é"}'.encode("latin-1"))
    with pytest.raises(InputError, match=r"full\.json: not UTF-8"):
        tofu(config, 0)


def test_duplicate_rows_are_named_with_both_lines(tmp_path):
    content = tables()
    content["full"][8] = content["full"][2]
    with pytest.raises(InputError, match=r"full\.json, line 9: same question.*full\.json, line 3"):
        tofu(write(tmp_path, content), 0)


def test_row_in_forget_and_retain_split(tmp_path):
    content = tables()
    content["retain90"].append(qa(185))
    with pytest.raises(InputError, match=r"forget10\.json, line 6: the row is in retain90 as well"):
        tofu(write(tmp_path, content), 0)


@pytest.mark.parametrize("name", ["full", "retain90"])
def test_missing_required_file(config, tmp_path, name):
    (tmp_path / f"{name}.json").unlink()
    with pytest.raises(InputError, match=rf"{name}\.json: missing; add it"):
        tofu(config, 0)


def test_no_forget_split_and_no_folder(config, tmp_path):
    for file in tmp_path.glob("forget*"):
        file.unlink()
    with pytest.raises(InputError, match=r"forget10\.json: missing, and no other forget split"):
        tofu(config, 0)
    with pytest.raises(InputError, match=r"benchmark\.path: .*is no folder"):
        tofu(config.model_copy(update={"path": str(tmp_path / "absent")}), 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["retain90"].pop(), "1 rows are in neither forget10 nor retain90"),
        (lambda t: t["forget10_perturbed"].pop(0), "not those of 'forget10'"),
        (lambda t: t["retain_perturbed"].append(perturbed(199)), "some of its rows are in a forget split"),
        (lambda t: t["holdout10"].append(qa(0)), "no non-members"),
    ],
)
def test_loose_relations_warn_without_strict_and_fail_with_it(tmp_path, caplog, monkeypatch, change, message):
    content = tables()
    change(content)
    config = write(tmp_path, content)
    tofu(config, 0)
    assert message in caplog.text
    known = {name: (len(rows), content_hash(rows)) for name, rows in content.items()}
    monkeypatch.setitem(read_tofu.__globals__, "KNOWN", known)
    with pytest.raises(InputError, match=rf"{message}.*benchmark\.strict: false"):
        tofu(config.model_copy(update={"strict": True}), 0)


def test_unknown_content_fails_in_strict_mode_and_warns_otherwise(config, caplog):
    message = r"full\.json: not the known content.*expected 4000 rows.*116a79e7a7e1.*found 200 rows.*strict: false"
    with pytest.raises(InputError, match=message):
        tofu(config.model_copy(update={"strict": True}), 0)
    tofu(config, 0)
    assert "full.json: not the known content" in caplog.text


# --- content hash and provenance ----------------------------------------------------------------------------


def test_content_hash_sees_values_and_order_but_not_serialisation():
    rows = [{"question": "é/?", "answer": "a"}, {"question": "q", "answer": "b"}]
    # printf '{"answer":"a","question":"é/?"}\n{"answer":"b","question":"q"}' | sha256sum
    assert content_hash(rows) == "6228b3be9a2fbc53b54f13e7759a818369ef6cf1b781205498075df6592ecda8"
    assert content_hash([json.loads(json.dumps(dict(reversed(row.items())))) for row in rows]) == content_hash(rows)
    assert content_hash(rows[::-1]) != content_hash(rows)


def test_source_of_a_folder(config, tmp_path):
    source = prepare(config, 0, []).origin
    assert source["path"] == str(tmp_path)
    assert set(source["files"]) == set(tables())
    assert source["files"]["full"] == {
        "rows": 200, "content_sha256": content_hash(tables()["full"]), "known": False,
    }  # fmt: skip
    json.dumps(source)


# --- hub ----------------------------------------------------------------------------------------------------


class FakeHub(Hub):
    def __init__(self, content):
        self.content, self.asked = content, []

    def commit(self, repository, revision):
        assert (repository, revision) == ("locuslab/TOFU", "main")
        return "c0ffee"

    def configs(self, repository, commit):
        return list(self.content)

    def rows(self, repository, name, commit):
        self.asked.append((repository, name, commit))
        return self.content[name]


def test_hub_gives_the_same_records_at_the_resolved_commit(config):
    hub = FakeHub(tables())
    online = config.model_copy(update={"path": None})
    records, source = read_tofu(online, open_files(online, hub))
    assert records == tofu(config, 0)
    assert {(repository, commit) for repository, _, commit in hub.asked} == {("locuslab/TOFU", "c0ffee")}
    assert len(hub.asked) == len(set(hub.asked))
    files = source.pop("files")
    assert source == {
        "repository": "locuslab/TOFU", "requested_revision": "main", "resolved_commit": "c0ffee",
    }  # fmt: skip
    assert files == prepare(config, 0, []).origin["files"]


def test_hub_without_holdout_warns(config, caplog):
    content = {name: rows for name, rows in tables().items() if not name.startswith("holdout")}
    online = config.model_copy(update={"path": None})
    records, _ = read_tofu(online, open_files(online, FakeHub(content)))
    assert not [r for r in records if r.set == "holdout"]
    assert "locuslab/TOFU, configuration holdout10 is missing" in caplog.text


def test_hub_errors_name_configuration_and_row(config):
    content = tables()
    content["full"][4] = {"question": "no answer?"}
    online = config.model_copy(update={"path": None})
    with pytest.raises(InputError, match=r"locuslab/TOFU, configuration full, row 4: column 'answer' is missing"):
        read_tofu(online, open_files(online, FakeHub(content)))


def test_offline_says_what_to_do(config, monkeypatch):
    from huggingface_hub import HfApi
    from huggingface_hub.errors import OfflineModeIsEnabled

    def offline(*args, **kwargs):
        raise OfflineModeIsEnabled("offline mode is enabled")

    monkeypatch.setattr(HfApi, "dataset_info", offline)
    with pytest.raises(InputError, match=r"locuslab/TOFU at revision 'main'.*offline.*Set `benchmark\.path`"):
        tofu(config.model_copy(update={"path": None}), 0)


def test_hub_asks_the_libraries_for_one_commit(monkeypatch):
    import datasets

    calls = []

    def load_dataset(*args, **kwargs):
        calls.append((args, kwargs))
        return datasets.Dataset.from_list([perturbed(0)])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    rows = Hub().rows("locuslab/TOFU", "forget10_perturbed", "c0ffee")
    assert content_hash(rows) == content_hash([perturbed(0)])
    assert calls == [(("locuslab/TOFU",), {"name": "forget10_perturbed", "revision": "c0ffee", "split": "train"})]


# --- the real files -----------------------------------------------------------------------------------------


@pytest.mark.real
@needs_tofu
def test_real_tofu_passes_strictly(caplog):
    caplog.set_level(logging.WARNING)
    config = TofuConfig(name="tofu", path=str(REAL))
    records = tofu(config, 0)
    assert not caplog.records
    assert all(file["known"] for file in prepare(config, 0, []).origin["files"].values())
    sizes = {name: len(select(records, name)) for name in ("full", "real_authors", "world_facts", "holdout")}
    assert sizes == {"full": 4000, "real_authors": 100, "world_facts": 117, "holdout": 400}
    for name, size in (("forget01", 40), ("forget05", 200), ("forget10", 400)):
        rows = select(records, "full", name)
        assert [r.id for r in rows] == [f"full-{i:04d}" for i in range(4000 - size, 4000)]
        assert len(select(records, "full", retain_split(name))) == 4000 - size
        assert [r.id for r in select(records, "holdout", name)] == [f"holdout-{i:04d}" for i in range(size)]
    paraphrased = [r for r in records if r.paraphrased_answer]
    assert [r.id for r in paraphrased] == [f"full-{i:04d}" for i in (*range(400), *range(3600, 4000))]
    assert {len(r.perturbed_answers) for r in paraphrased} == {5}
    assert {len(r.perturbed_answers) for r in records if r.set in ("real_authors", "world_facts")} == {3}
    assert by_id(records)["full-3600"].group == "author-180"
    data = Tofu().data(records)
    for split in data.splits.values():
        assert {
            name: len(ids) for name, ids in split.probes.items() if name not in ("forget", "retain", "holdout")
        } == {
            "real_authors": 100,
            "world_facts": 117,
        }
    assert data.splits["forget10"].probes["retain"] == tuple(f"full-{i:04d}" for i in range(400))
