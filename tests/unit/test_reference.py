"""What is kept of the starting model: its states at the answer tokens, under the right name, and unharmed by a file."""

import copy

import pytest
import torch

from lethe.config import MethodConfig
from lethe.objectives import OBJECTIVES
from lethe.training import reference
from lethe.training.reference import layer_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def retain(data, encoder):
    return encoder.examples(data.retain("forget10")[:10])


@pytest.fixture(scope="module")
def stored(sharp, retain):
    return reference.compute(sharp, retain, None)


@pytest.fixture(scope="module")
def inner(sharp, retain):
    return reference.compute(sharp, retain, None, layer=0)


def answer_part(example) -> slice:
    """Positions that predict the answer."""
    first = len(example.prompt) - 1
    return slice(first, first + len(example.answer))


# --- values -------------------------------------------------------------------------------------------------


def test_last_states_predict_the_tokens(sharp, retain, stored):
    assert set(stored.hidden) == {row.sample for row in retain}
    for row in retain:
        with torch.no_grad():
            expected = sharp(torch.tensor([row.prompt + row.answer])).logits[0, answer_part(row)].log_softmax(-1)
        found = (stored.hidden[row.sample] @ stored.head.T).log_softmax(-1)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_layers_states_are_what_the_layer_puts_out(sharp, retain, inner):
    assert inner.head is None
    assert set(inner.hidden) == {row.sample for row in retain}
    for row in retain:
        seen = []
        handle = sharp.model.layers[0].register_forward_hook(lambda m, i, output, seen=seen: seen.append(output))
        with torch.no_grad():
            sharp(torch.tensor([row.prompt + row.answer]))
        handle.remove()
        expected = seen[0].reshape(len(row), -1)[answer_part(row)]
        torch.testing.assert_close(inner.hidden[row.sample], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer", [None, 0])
def test_passes_of_any_size_give_the_same(monkeypatch, sharp, retain, stored, inner, layer):
    monkeypatch.setattr(reference, "ROWS_PER_PASS", 3)
    found = reference.compute(sharp, retain[::-1], None, layer)
    for sample, states in (stored if layer is None else inner).hidden.items():
        torch.testing.assert_close(found.hidden[sample], states, rtol=1e-4, atol=1e-4)


def test_states_of_rows_follow_the_rows(retain, stored):
    chosen = [retain[4], retain[1]]
    found = stored.of(chosen, CPU)
    assert found.dtype == torch.float32
    assert len(found) == sum(len(row.answer) for row in chosen)
    n = len(chosen[0].answer)
    assert torch.equal(found[:n], stored.hidden[chosen[0].sample])
    assert torch.equal(found[n:], stored.hidden[chosen[1].sample])


def test_autocast_rounds_the_body_and_what_is_kept_is_fp32(sharp, retain, stored):
    half = reference.compute(sharp, retain, torch.bfloat16)
    assert half.head.dtype == torch.float32
    assert torch.equal(half.head, stored.head)
    for sample, states in half.hidden.items():
        assert states.dtype == torch.float32
        assert not torch.equal(states, stored.hidden[sample])
        assert (states - stored.hidden[sample]).norm() < 0.05 * stored.hidden[sample].norm()


def test_it_is_a_snapshot(sharp, retain):
    """Training the very model that it was made from must not move it."""
    model = copy.deepcopy(sharp)
    snapshot = reference.compute(model, retain[:1], None)
    head = snapshot.head.clone()
    with torch.no_grad():
        model.get_output_embeddings().weight.add_(1)
    assert torch.equal(snapshot.head, head)


def test_it_may_take_part_in_a_graph(stored):
    """Tensors made in inference mode may not be saved for a backward pass."""
    for tensor in (stored.head, *stored.hidden.values()):
        assert not tensor.is_inference()
        assert not tensor.requires_grad


# --- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stored", "inner"])
def test_a_file_gives_back_what_was_kept(tmp_path, request, name):
    kept = request.getfixturevalue(name)
    path = tmp_path / "new" / "reference.safetensors"
    reference.save(kept, path)
    again = reference.read(path)
    assert (again.head is None) == (kept.head is None)
    assert kept.head is None or torch.equal(again.head, kept.head)
    assert set(again.hidden) == set(kept.hidden)
    assert all(torch.equal(again.hidden[sample], states) for sample, states in kept.hidden.items())
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing half-written is left behind


def test_a_sample_may_be_called_head(tmp_path):
    kept = reference.Reference({"head": torch.ones(2, 3), "a/b": torch.zeros(1, 3)}, torch.eye(3))
    reference.save(kept, tmp_path / "r.safetensors")
    again = reference.read(tmp_path / "r.safetensors")
    assert torch.equal(again.head, torch.eye(3))
    assert torch.equal(again.hidden["head"], torch.ones(2, 3))
    assert set(again.hidden) == {"head", "a/b"}


# --- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(
    ("term", "name"),
    [
        ("none", None),
        ("nll", None),
        ("kl", "retain"),
        ("embed_diff", "retain-layer7"),
        ({"embed_diff": {"layer": 12}}, "retain-layer12"),
    ],
    ids=str,
)
def test_a_method_has_kept_what_it_needs(objective, term, name):
    expected = ({} if name is None else {"retain": name}) | ({"forget": "forget"} if objective == "undial" else {})
    assert MethodConfig(weighting="uniform", objective=objective, retain=term).kept() == expected


@pytest.mark.parametrize(
    ("name", "layer"), [("retain", None), ("forget", None), ("retain-layer7", 7), ("retain-layer12", 12)]
)
def test_the_layer_is_in_the_name(name, layer):
    assert layer_of(name) == layer


def test_names_and_layers_belong_together():
    for layer in (0, 3):
        method = MethodConfig(weighting="uniform", objective="ascent", retain={"embed_diff": {"layer": layer}})
        assert layer_of(method.kept()["retain"]) == layer
