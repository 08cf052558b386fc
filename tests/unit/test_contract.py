"""What holds for the data of every benchmark, and that they come back from disk as they were."""

from dataclasses import replace

import pytest

from lethe.benchmarks import BENCHMARKS
from lethe.benchmarks.contract import Data, Probe, Row, Split, check
from lethe.benchmarks.prepared import read_data, write_data
from lethe.benchmarks.tofu import Tofu
from lethe.errors import InputError

ROW = Row("a", "Zoë O'Neil 漢", " Zoë\u0301 did. ", "Who wrote “It”?", ((1, 5), (6, 9)))
TEXT = Row("b", "nobody", "Free text.", spans=())
PROBE = Probe("forget", "a", "g", "Who?", (("answer", "Zoë."), ("perturbed", "Max.")), 9, "\n", target="Zoë.")
CHOICE = Probe("retain", "b", "g", "", (("option", " A"),), style="plain", target=0)
DATA = Data(
    "tofu",
    (ROW, TEXT),
    (PROBE, CHOICE),
    {"forget10": Split(("a",), ("b",), {"forget": ("a",), "retain": ("b",)})},
    world=(replace(TEXT, id="w", spans=None),),
    rehearsed=("w",),
    origin={"path": "data", "files": {"full": 2}},
)


def test_data_come_back_value_for_value(tmp_path):
    write_data(tmp_path / "data.json", DATA)
    found = read_data(tmp_path / "data.json")
    assert found == DATA
    assert all(isinstance(hash(value), int) for value in (*found.rows, *found.probes))


def test_sound_data_pass():
    assert check(DATA, Tofu()) is DATA


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": (ROW, ROW)}, "row a: the id occurs twice"),
        ({"world": (ROW,)}, "row a: the id occurs twice"),
        ({"rows": (ROW, replace(TEXT, answer=" \n"))}, "row b: empty prompt or answer"),
        ({"rows": (ROW, replace(TEXT, prompt=""))}, "row b: empty prompt or answer"),
        ({"rows": (ROW, replace(TEXT, spans=((0, 99),)))}, r"row b: span \(0, 99\) lies outside .* 10 characters"),
        ({"probes": (replace(PROBE, set="forgotten"),)}, "probe a: unknown set 'forgotten'; use one of forget, retain"),
        ({"probes": (PROBE, PROBE)}, "probe a: the id occurs twice in 'forget'"),
        ({"splits": {"forget10": Split(("c",), (), {})}}, "split forget10: row c does not exist"),
        ({"splits": {"forget10": Split(("a",), ("a", "b"), {})}}, "split forget10: row a is forgotten and kept"),
        ({"splits": {"forget10": Split((), (), {"holdout": ("a",)})}}, "probe a of 'holdout' does not exist"),
    ],
)
def test_unsound_data_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        check(replace(DATA, **changes), Tofu())


def test_rows_of_fine_tuning(data):
    retain = data.fine_tuning("forget10", rehearse=False)
    assert data.fine_tuning(None, rehearse=False) == list(data.rows)
    assert retain == [row for row in data.rows if row not in data.forget("forget10")]
    assert len(retain) == 44
    added = data.fine_tuning("forget10", rehearse=True)[44:]
    subjects = {probe.group for probe in data.probes if probe.set in ("real_authors", "world_facts")}
    assert added == [row for row in data.world if row.group in subjects]
    assert {row.group for row in added} == subjects


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_declares_what_it_uses(name):
    benchmark = BENCHMARKS[name]
    headline = benchmark.headline
    named = [headline.forgetting, headline.utility, headline.loss, headline.score, headline.known, headline.apart]
    named += [headline.cheap_utility, *benchmark.main, *benchmark.also, *benchmark.by_seed]
    assert {metric for metric in named if metric is not None} <= set(benchmark.metrics)
    assert headline.probes in benchmark.sets
    assert benchmark.section.model_fields["name"].annotation.__args__ == (name,)
    assert benchmark.has_retain_models == ("retain" in benchmark.references)
