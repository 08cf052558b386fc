"""The starting model's part in a run: read from the files of its rules, it is what a task needs, and all of it fits."""

import numpy as np
import pytest
import torch

from lethe.benchmarks.refusals import LINES, read_lines, refuse
from lethe.config import MethodConfig, TrainingConfig
from lethe.errors import InputError
from lethe.io import read_table, write_table
from lethe.models.prompts import Encoder
from lethe.tokens.score import score_table
from lethe.tokens.tokenise import token_table
from lethe.training import reference
from lethe.training.loop import Context
from lethe.training.reference import Starting, layer_of
from lethe.training.unlearn import Unlearning

SEED = 5


@pytest.fixture(scope="module")
def forget(data):
    return data.forget("forget10")


@pytest.fixture(scope="module")
def retain(data, encoder):
    return encoder.examples(data.retain("forget10")[:6])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("starting")


@pytest.fixture(scope="module")
def kept(folder, sharp, encoder, forget, retain):
    """What the `reference` rule writes: name of what is kept -> file."""
    paths = {}
    for name in ("retain", "retain-layer0", "forget"):
        rows = encoder.examples(forget) if name == "forget" else retain
        paths[name] = folder / f"{name}.safetensors"
        reference.save(reference.compute(sharp, rows, None, layer_of(name)), paths[name])
    return paths


@pytest.fixture(scope="module")
def own_lines(folder):
    path = folder / "idontknow.txt"
    path.write_text("I'm not sure.\nNo idea.\nAsk me another.\n", encoding="utf-8")
    return path


def refused(model, encoder, forget, lines, seed=SEED):
    """What the `refuse` rule computes."""
    rows = refuse(forget, read_lines(lines), seed)
    return score_table(model, encoder, rows, token_table(encoder, rows), [], None)


@pytest.fixture(scope="module")
def refusals(folder, sharp, encoder, forget):
    path = folder / "refusals.parquet"
    write_table(path, refused(sharp, encoder, forget, None))
    return path


def read(kept, refusals, encoder, forget, lines=None, seed=SEED) -> Starting:
    return reference.read_starting(kept, refusals, encoder, forget, lines, seed)


# --- what is read -------------------------------------------------------------------------------------------


def test_most_methods_need_nothing(encoder, forget):
    assert read({}, None, encoder, forget) == Starting(None, None, None)


def test_states_come_back_in_their_places(kept, encoder, forget, retain):
    both = read({"retain": kept["retain-layer0"], "forget": str(kept["forget"])}, None, encoder, forget)
    assert set(both.retain.hidden) == {row.sample for row in retain}
    assert set(both.forget.hidden) == {record.id for record in forget}
    assert both.retain.head is None, "a layer's states predict nothing"
    assert both.forget.head is not None
    assert both.refusals is None
    stored = reference.read(kept["forget"])
    assert all(torch.equal(both.forget.hidden[sample], states) for sample, states in stored.hidden.items())


def test_refusals_are_in_the_order_of_the_forget_rows(refusals, encoder, forget):
    found = read({}, refusals, encoder, forget[::-1]).refusals
    assert [example.sample for example in found.examples] == [record.id for record in forget[::-1]]
    for example, record in zip(found.examples, forget[::-1], strict=True):
        assert example.prompt == encoder.prompt(record.prompt)
        text = encoder.tokenizer.decode(example.answer, skip_special_tokens=True).strip()
        assert text in LINES
        assert text != record.answer
    assert found.table.equals(read_table(refusals))


def test_refusals_match_their_table_token_for_token(refusals, encoder, forget):
    found = read({}, refusals, encoder, forget).refusals
    for example in found.examples:
        rows = found.table[found.table["sample"] == example.sample].sort_values("position")
        assert rows["token_id"].tolist() == example.answer
    assert len(found.table) == sum(len(example.answer) for example in found.examples)


def test_own_lines_are_read_from_their_file(own_lines, sharp, encoder, forget, tmp_path):
    write_table(tmp_path / "refusals.parquet", refused(sharp, encoder, forget, own_lines))
    found = read({}, tmp_path / "refusals.parquet", encoder, forget, str(own_lines)).refusals
    texts = {encoder.tokenizer.decode(example.answer, skip_special_tokens=True).strip() for example in found.examples}
    assert texts <= set(read_lines(own_lines))


# --- a task is made of it -----------------------------------------------------------------------------------


def method(objective="ascent", retain="none") -> MethodConfig:
    return MethodConfig(weighting="uniform", objective=objective, retain=retain)


def task_of(method, kept, refusals, encoder, forget, retain, scored, **changes) -> Unlearning:
    """As the `unlearn` script puts a task together."""
    return Unlearning(
        method,
        forget=encoder.examples(forget),
        retain=retain,
        table=scored,
        seed=0,
        hidden_size=32,
        starting=read(
            {name: kept[file] for name, file in method.kept().items()},
            refusals if method.objective.refusals else None,
            encoder,
            forget,
            **changes,
        ),
    )


@pytest.mark.parametrize(
    ("objective", "term"),
    [
        ("idk_dpo", "none"),
        ("idk_dpo", "nll"),
        ("undial", "none"),
        ("undial", "kl"),
        ("ascent", "kl"),
        ("ascent", {"embed_diff": {"layer": 0}}),
        ({"rmu": {"layer": 0}}, {"embed_diff": {"layer": 0}}),
    ],
    ids=str,
)
def test_a_step_can_be_made(objective, term, kept, refusals, sharp, encoder, forget, retain, scored):
    """At the starting model, comparing with the starting model gives what is known beforehand."""
    task = task_of(method(objective, term), kept, refusals, encoder, forget, retain, scored)
    context = Context(sharp, TrainingConfig(batch_size=4), gpus=0)
    task.begin(context)
    with torch.enable_grad():
        values = task.backward(np.arange(len(forget)), context)
    sharp.zero_grad(set_to_none=True)
    assert all(np.isfinite(value) for value in values.values())
    if term == "kl" or isinstance(term, dict):
        assert values["loss_retain"] == pytest.approx(0, abs=1e-5)
    if objective == "idk_dpo":  # −(2/β) ln σ(0), β = 0.1
        assert values["loss_forget"] == pytest.approx(20 * np.log(2), rel=1e-4)


@pytest.mark.parametrize("change", ["seed", "lines"])
def test_refusals_of_another_draw_do_not_fit_their_table(
    change, own_lines, kept, refusals, encoder, forget, retain, scored
):
    other = {"seed": SEED + 1} if change == "seed" else {"lines": own_lines}
    assert refuse(forget, LINES, SEED) != refuse(forget, LINES, SEED + 1)
    with pytest.raises(InputError, match=r"token table: sample full-\d{4} .* other tokens"):
        task_of(method("idk_dpo"), kept, refusals, encoder, forget, retain, scored, **other)


def test_refusals_of_other_rows_do_not_fit_their_table(kept, refusals, encoder, data, retain, scored, forget):
    others = data.retain("forget10")[:4]
    with pytest.raises(InputError, match=r"token table: sample full-\d{4} is missing"):
        task_of(method("idk_dpo"), kept, refusals, encoder, [*forget[1:], others[0]], retain, scored)


def test_a_prompt_of_other_words_changes_refusals_too(refusals, tiny, encoder, forget):
    """The prompt is part of every example, so a task sees the refusal after the question that was scored."""
    other = Encoder(tiny[1], encoder.config.model_copy(update={"question": "Q: "}), encoder.max_length)
    plain, changed = (read({}, refusals, e, forget).refusals.examples for e in (encoder, other))
    assert [row.answer for row in plain] == [row.answer for row in changed]
    assert all(a.prompt != b.prompt for a, b in zip(plain, changed, strict=True))
