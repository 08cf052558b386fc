"""Mutual information under disturbed passes: the formula in float64, and noise that depends on nothing but its seed."""

import copy
import math
import runpy
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import lethe.tokens.embedding_noise
from lethe.benchmarks.prepared import write_data
from lethe.config import PromptConfig
from lethe.errors import InputError
from lethe.io import read_table, write_table
from lethe.models.sources import save
from lethe.tokens.embedding_noise import mutual_information, noise, noisy_information
from lethe.tokens.table import join
from lethe.tokens.tokenise import token_table

SEED, PASSES, SCALE = 4, 3, 0.5


@pytest.fixture(scope="module")
def rows(data):
    return data.forget("forget10")


@pytest.fixture(scope="module")
def examples(encoder, rows):
    return encoder.examples(rows)


@pytest.fixture(scope="module")
def found(sharp, examples):
    return noisy_information(sharp, examples, PASSES, SCALE, SEED, None)


def by_hand(model, example, passes, scale, seed) -> np.ndarray:
    """Plain transformers in float64, one row at a time: noise is put into `inputs_embeds`, no hook, no chunk."""
    model = copy.deepcopy(model).double()
    embedded = model.get_input_embeddings()(torch.tensor([example.prompt + example.answer])).detach()
    size = embedded.square().mean().sqrt()
    first = len(example.prompt) - 1
    log_p = []
    for k in range(passes):
        disturbed = embedded + scale * size * noise(example, embedded.shape[-1], seed, k)
        with torch.no_grad():
            logits = model(inputs_embeds=disturbed).logits[0, first : first + len(example.answer)]
        log_p.append(logits.log_softmax(-1))
    log_p = torch.stack(log_p)
    mean = log_p.exp().mean(0)
    entropies = -(log_p.exp() * log_p).sum(-1)
    return (-(mean * mean.log()).sum(-1) - entropies.mean(0)).numpy()


# --- formula ------------------------------------------------------------------------------------------------


def test_two_certain_opposite_passes_share_ln_2():
    """p₁ = (1, 0), p₂ = (0, 1): the mean is a coin, each pass is certain, I = ln 2; agreement gives 0."""
    head = torch.tensor([[100.0], [-100.0]])
    hidden = [torch.tensor([[1.0], [1.0], [0.0]]), torch.tensor([[-1.0], [1.0], [0.0]])]
    torch.testing.assert_close(mutual_information(hidden, head), torch.tensor([math.log(2), 0.0, 0.0]))


def test_by_hand_for_three_words():
    first, second = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.3, 0.6])

    def entropy(p):
        return -(p * np.log(p)).sum()

    expected = entropy((first + second) / 2) - (entropy(first) + entropy(second)) / 2
    hidden = [torch.tensor(np.log(p)[None], dtype=torch.float32) for p in (first, second)]
    assert mutual_information(hidden, torch.eye(3)).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("chunk", [1, 7, 20, 1000])
def test_chunks_change_nothing(chunk):
    generator = torch.Generator().manual_seed(0)
    hidden = [torch.randn(20, 8, generator=generator) for _ in range(PASSES)]
    head = 2 * torch.randn(50, 8, generator=generator)
    log_p = torch.stack([(h.double() @ head.double().T).log_softmax(-1) for h in hidden])
    mean = log_p.exp().mean(0)
    expected = -(mean * mean.log()).sum(-1) + (log_p.exp() * log_p).sum(-1).mean(0)
    torch.testing.assert_close(mutual_information(hidden, head, chunk).double(), expected, rtol=1e-5, atol=1e-6)
    assert expected.min() > 0.01


class Largest(TorchDispatchMode):
    """Elements of the largest tensor that any operation returns."""

    elements = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        if isinstance(result, torch.Tensor):
            self.elements = max(self.elements, result.numel())
        return result


def test_no_array_is_larger_than_a_chunk_of_the_vocabulary():
    hidden = [torch.randn(64, 4) for _ in range(PASSES)]
    with Largest() as largest:
        mutual_information(hidden, torch.randn(1000, 4), chunk=8)
    assert largest.elements == 8 * 1000


def test_a_model_equals_float64(sharp, examples, found):
    for example in examples:
        own = found[found["sample"] == example.sample]
        expected = by_hand(sharp, example, PASSES, SCALE, SEED)
        np.testing.assert_allclose(own["mutual_information"], expected, rtol=1e-3, atol=2e-5)
    assert found["mutual_information"].max() > 0.05


def test_bounds(found):
    """0 ≤ I ≤ ln K."""
    assert found["mutual_information"].between(-1e-5, math.log(PASSES)).all()


def test_no_noise_no_information_and_more_noise_more_of_it(sharp, examples):
    still, little, much = (
        noisy_information(sharp, examples, PASSES, s, SEED, None)["mutual_information"] for s in (0, 0.05, 0.5)
    )
    np.testing.assert_allclose(still, 0, atol=1e-5)
    assert 10 * still.abs().mean() < little.mean() < 0.5 * much.mean()


# --- noise --------------------------------------------------------------------------------------------------


def test_noise_is_standard_normal_and_its_own_for_seed_pass_and_sample(examples):
    draws = [noise(examples[0], 500, *key) for key in ((0, 0), (1, 0), (0, 1))] + [noise(examples[1], 500, 0, 0)]
    n = min(map(len, draws))
    for i, a in enumerate(draws):
        assert a.shape == (len(examples[i == 3]), 500)
        assert float(a.mean()) == pytest.approx(0, abs=0.03)
        assert float(a.std()) == pytest.approx(1, abs=0.03)
        for b in draws[:i]:
            assert abs(np.corrcoef(a[:n].flatten(), b[:n].flatten())[0, 1]) < 0.03
    assert torch.equal(noise(examples[0], 500, 0, 0), draws[0])


@pytest.mark.parametrize("rows_per_pass", [1, 3])
def test_batching_and_padding_change_nothing(monkeypatch, sharp, examples, found, rows_per_pass):
    assert len({len(example) for example in examples}) > 1  # there is padding
    monkeypatch.setattr(lethe.tokens.embedding_noise, "ROWS_PER_PASS", rows_per_pass)
    again = noisy_information(sharp, examples, PASSES, SCALE, SEED, None)
    pd.testing.assert_frame_equal(again, found, check_exact=False, rtol=1e-4, atol=1e-5)


def test_other_rows_and_their_order_change_nothing(sharp, examples, found):
    alone = noisy_information(sharp, examples[2:0:-1], PASSES, SCALE, SEED, None)
    assert alone["sample"].unique().tolist() == [examples[2].sample, examples[1].sample]
    both = alone.merge(found, on=["sample", "position", "token_id"], validate="one_to_one")
    assert len(both) == len(alone)
    np.testing.assert_allclose(both["mutual_information_x"], both["mutual_information_y"], rtol=1e-4, atol=1e-5)


def test_noise_follows_the_size_of_the_embeddings(sharp, examples):
    """Its standard deviation is `scale` root mean squares of the row's own embeddings."""
    seen, ids = {}, torch.tensor([examples[0].prompt + examples[0].answer])
    for factor in (1.0, 8.0):
        model = copy.deepcopy(sharp)
        with torch.no_grad():
            model.get_input_embeddings().weight.mul_(factor)
        with lethe.tokens.embedding_noise._noisy(model, examples[:1], SCALE, SEED, 0), torch.no_grad():
            seen[factor] = model.get_input_embeddings()(ids) - model.get_input_embeddings().weight[ids]
    torch.testing.assert_close(seen[8.0], 8 * seen[1.0], rtol=1e-3, atol=1e-3)
    size = sharp.get_input_embeddings().weight.detach()[ids].square().mean().sqrt()
    assert float(seen[1.0].std() / size) == pytest.approx(SCALE, rel=0.05)


def test_seed_matters_and_the_global_generator_does_not(sharp, examples, found):
    torch.manual_seed(77)
    np.random.seed(77)  # noqa: NPY002 - the global generator is what must not matter
    state = torch.random.get_rng_state()
    pd.testing.assert_frame_equal(noisy_information(sharp, examples, PASSES, SCALE, SEED, None), found)
    assert torch.equal(torch.random.get_rng_state(), state)
    other = noisy_information(sharp, examples, PASSES, SCALE, SEED + 1, None)["mutual_information"]
    assert np.abs(other - found["mutual_information"]).max() > 0.01


# --- the model, the table -----------------------------------------------------------------------------------


def test_the_model_is_left_as_it_was(sharp, examples):
    model = copy.deepcopy(sharp)
    noisy_information(model, examples[:1], 2, SCALE, SEED, None)
    for a, b in zip(model.parameters(), sharp.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.requires_grad
    assert not model.get_input_embeddings()._forward_hooks


def test_hook_goes_when_the_pass_fails(sharp, examples, monkeypatch):
    def fail(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(lethe.tokens.embedding_noise, "answer_states", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        noisy_information(sharp, examples, 2, SCALE, SEED, None)
    assert not sharp.get_input_embeddings()._forward_hooks


def test_bfloat16_is_close(sharp, examples, found):
    half = noisy_information(sharp, examples, PASSES, SCALE, SEED, torch.bfloat16)
    assert half["mutual_information"].dtype == "float32"
    assert np.corrcoef(half["mutual_information"], found["mutual_information"])[0, 1] > 0.98


def test_rows_are_those_of_the_token_table(encoder, rows, found):
    table = token_table(encoder, rows)
    pd.testing.assert_frame_equal(table[["sample", "position", "token_id"]], found.drop(columns="mutual_information"))
    joined = join([table, found])
    assert list(joined.columns) == [*table.columns, "mutual_information"]
    with pytest.raises(InputError, match="different tokens"):
        join([table, found.iloc[1:]])


def test_script_adds_the_column(tmp_path, data, rows, tiny, sharp, encoder, found, monkeypatch):
    script = Path(__file__).resolve().parents[2] / "workflow" / "scripts" / "embedding_noise.py"
    save(sharp, tiny[1], tmp_path / "model")
    write_data(tmp_path / "data.json", data)
    table = token_table(encoder, rows)
    write_table(tmp_path / "tokens.parquet", table.sample(frac=1, random_state=1))
    snakemake = types.SimpleNamespace(
        input=types.SimpleNamespace(
            data=tmp_path / "data.json", model=tmp_path / "model", table=tmp_path / "tokens.parquet"
        ),
        output=[tmp_path / "out.parquet"],
        params=types.SimpleNamespace(
            noise={"passes": PASSES, "scale": SCALE}, seed=SEED, prompt=PromptConfig().model_dump(), precision="float32"
        ),
        wildcards=types.SimpleNamespace(split="forget10"),
        resources=types.SimpleNamespace(gpu=0),
        threads=1,
        config={},
        log=[],
    )
    monkeypatch.setattr("lethe.script.setup", lambda *_: None)
    monkeypatch.setattr("lethe.provenance.provenance", lambda _: {})
    runpy.run_path(str(script), {"snakemake": snakemake})
    result = read_table(tmp_path / "out.parquet")
    assert list(result.columns) == [*table.columns, "mutual_information"]
    result = result.sort_values(["sample", "position"], ignore_index=True)
    np.testing.assert_allclose(result["mutual_information"], found["mutual_information"], rtol=1e-4, atol=1e-5)
