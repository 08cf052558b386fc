"""Low-rank adapters: what trains and what does not, and that nothing of them is left in the model that is saved."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from transformers import GPT2Config, GPT2LMHeadModel

from lethe.benchmarks.refusals import LINES, refuse
from lethe.config import LoraConfig, MethodConfig, TrainingConfig
from lethe.errors import InputError
from lethe.models import sources as models
from lethe.models.lora import attach, merge
from lethe.objectives import OBJECTIVES
from lethe.tokens.score import score_table
from lethe.tokens.tokenise import token_table
from lethe.training import reference
from lethe.training.loop import FineTuning, make_optimizer, train
from lethe.training.reference import Refusals, Starting
from lethe.training.unlearn import Unlearning

IDS = torch.arange(3, 43).reshape(2, 20)


def lora(**changes) -> LoraConfig:
    return LoraConfig(**{"rank": 4, "alpha": 8.0, "frozen": "float32", **changes})


def config(adapters: LoraConfig | None = None, **changes) -> TrainingConfig:
    settings = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-2, "warmup_epochs": 0.0, "precision": "float32"}
    return TrainingConfig(lora=adapters or lora(), **{**settings, **changes})


@pytest.fixture(scope="module")
def examples(data, encoder):
    """Eight rows: the forget split's 4 last."""
    return encoder.examples(list(data.rows)[-8:])


def trained(model, examples, settings=None, seed=0, at_epoch=None):
    model = copy.deepcopy(model)
    log = train(model, FineTuning(examples), len(examples), settings or config(), seed, gpus=0, at_epoch=at_epoch)
    return model, log


def attached(model, adapters: LoraConfig, seed=0):
    model = copy.deepcopy(model)
    attach(model, adapters, seed)
    return model


def parameters(model) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS).logits


# --- what trains --------------------------------------------------------------------------------------------


def adapter_size(model, rank, names) -> int:
    """rank × (inputs + outputs) of every linear layer of a name, from the shapes of a model without adapters."""
    return sum(
        rank * (module.in_features + module.out_features)
        for name, module in model.named_modules()
        if name.rpartition(".")[2] in names
    )


BLOCK = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@pytest.mark.parametrize(
    ("targets", "names"), [("all-linear", BLOCK), (["q_proj", "v_proj"], ("q_proj", "v_proj"))], ids=["all", "two"]
)
def test_only_adapters_carry_optimiser_state(tiny, targets, names):
    """The head gets no adapter: the kernel multiplies with its weight itself."""
    model = attached(tiny[0], lora(targets=targets))
    optimizer = make_optimizer(model, config())
    grouped = [p for group in optimizer.param_groups for p in group["params"]]
    expected = adapter_size(tiny[0], 4, names)
    assert sum(p.numel() for p in grouped) == expected == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert isinstance(model.lm_head, torch.nn.Linear)
    for p in grouped:
        p.grad = torch.ones_like(p)
    optimizer.step()
    moments = [value for state in optimizer.state.values() for key, value in state.items() if key.startswith("exp_avg")]
    assert sum(value.numel() for value in moments) == 2 * expected
    if targets == "all-linear":  # by hand: H = 32, I = 85, 2 layers
        assert expected == 2 * 4 * (4 * (32 + 32) + 3 * (32 + 85))


@pytest.mark.parametrize("frozen", ["float32", "bfloat16"])
def test_frozen_weights_do_not_move_and_adapters_do(tiny, examples, frozen):
    seen = []

    def look(context, epochs):
        seen.append({name: p.detach().clone() for name, p in context.model.named_parameters()})

    trained(tiny[0], examples, config(lora(frozen=frozen)), at_epoch=look)
    first, last = seen[0], seen[-1]
    adapters = {name for name in first if "lora_" in name}
    assert len(adapters) == 2 * 2 * 7
    original = {name: p.detach().to(getattr(torch, frozen)) for name, p in tiny[0].named_parameters()}
    for name, values in first.items():
        if name in adapters:
            assert values.dtype == torch.float32
            assert not torch.equal(values, last[name])
        else:
            assert values.dtype == getattr(torch, frozen)
            assert torch.equal(values, last[name])
            assert torch.equal(values, original[name.replace(".base_layer", "")])


def test_untrained_adapters_change_nothing(tiny):
    torch.testing.assert_close(logits(attached(tiny[0], lora())), logits(tiny[0]), rtol=0, atol=0)


def test_output_is_scaled_by_alpha_over_rank(tiny):
    """W x + (α/r) B A x, by hand."""
    model = attached(tiny[0], lora(rank=4, alpha=6.0))
    layer = model.model.layers[0].self_attn.q_proj
    a, b = (getattr(layer, name)["lethe"].weight for name in ("lora_A", "lora_B"))
    assert a.shape == (4, 32)
    with torch.no_grad():
        b.copy_(torch.randn(b.shape))
        x = torch.randn(5, 32)
        expected = x @ tiny[0].model.layers[0].self_attn.q_proj.weight.T + 1.5 * x @ a.T @ b.T
        torch.testing.assert_close(layer(x), expected)


# --- merging ------------------------------------------------------------------------------------------------


def test_merged_model_is_the_adapted_model(tiny, examples):
    adapted = []
    model, log = trained(tiny[0], examples, at_epoch=lambda context, epochs: adapted.append(logits(context.model)))
    torch.testing.assert_close(logits(model), adapted[-1], rtol=0, atol=1e-5)
    torch.testing.assert_close(adapted[0], logits(tiny[0]), rtol=0, atol=0)
    assert (adapted[-1] - adapted[0]).abs().max() > 0.1
    assert log["loss"].iloc[-1] < log["loss"].iloc[0]


def test_merged_model_with_bfloat16_weights_is_close(tiny, examples):
    adapted = []
    model, _ = trained(
        tiny[0],
        examples,
        config(lora(frozen="bfloat16")),
        at_epoch=lambda context, epochs: adapted.append(logits(context.model).float()),
    )
    moved = (adapted[-1] - adapted[0]).norm()
    assert (logits(model) - adapted[-1]).norm() < 0.05 * moved


def test_updates_smaller_than_bfloat16_survive_the_merge(tiny):
    """1e-4 of a weight is lost if it is added in bf16, whose numbers are 4e-3 apart."""
    model = attached(tiny[0], lora(frozen="bfloat16", rank=1, alpha=1.0))
    layer = model.model.layers[0].mlp.up_proj
    with torch.no_grad():
        layer.lora_A["lethe"].weight.fill_(1.0)
        layer.lora_B["lethe"].weight.fill_(1e-6)
    merge(model)
    frozen = tiny[0].model.layers[0].mlp.up_proj.weight.detach().bfloat16().float()
    torch.testing.assert_close(
        model.model.layers[0].mlp.up_proj.weight - frozen, torch.full_like(frozen, 1e-6), rtol=0.02, atol=0
    )


def test_merged_model_is_a_plain_model(tiny, examples):
    model, _ = trained(tiny[0], examples, config(lora(frozen="bfloat16")))
    assert type(model) is type(tiny[0])
    assert [(n, p.shape, p.dtype) for n, p in model.named_parameters()] == [
        (n, p.shape, p.dtype) for n, p in tiny[0].named_parameters()
    ]
    assert [type(m) for m in model.modules()] == [type(m) for m in tiny[0].modules()]
    assert vars(model).keys() == vars(tiny[0]).keys()
    assert all(p.requires_grad for p in model.parameters())
    assert model.lm_head.weight is model.model.embed_tokens.weight  # still tied
    assert not model.training


def test_saved_folder_is_that_of_a_plain_model(tiny, examples, tmp_path):
    models.save(*tiny, tmp_path / "plain")
    model, _ = trained(tiny[0], examples)
    models.save(model, tiny[1], tmp_path / "model")
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {path.name for path in (tmp_path / "plain").iterdir()}
    for name in names:
        content = (tmp_path / "model" / name).read_bytes()
        assert b"lora" not in content
        assert b"peft" not in content
    configs = [json.loads((tmp_path / folder / "config.json").read_text()) for folder in ("plain", "model")]
    assert configs[0] == configs[1]
    loaded, _ = models.load(tmp_path / "model")
    torch.testing.assert_close(logits(loaded), logits(model), rtol=0, atol=0)


def test_a_merged_model_can_be_adapted_again(tiny, examples):
    """As `full` made with adapters is unlearned with adapters."""
    model, _ = trained(tiny[0], examples)
    again, _ = trained(model, examples)
    assert type(again) is type(tiny[0])
    assert not torch.equal(parameters(again), parameters(model))


# --- precision and seeds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("frozen", ["float32", "bfloat16"])
def test_every_precision_learns(tiny, examples, frozen, precision):
    model, log = trained(tiny[0], examples, config(lora(frozen=frozen), precision=precision, epochs=10))
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert log["loss"].iloc[-1] < log["loss"].iloc[0] - 0.05
    assert np.isfinite(log.drop(columns=["seconds", "peak_mib"])).all(axis=None)


def test_precisions_differ_by_rounding_only(tiny, examples):
    losses = [
        trained(tiny[0], examples, config(lora(frozen=frozen), precision=precision))[1]["loss"]
        for frozen, precision in (("float32", "float32"), ("bfloat16", "float32"), ("bfloat16", "bfloat16"))
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02)
    np.testing.assert_allclose(losses[2], losses[0], rtol=0.02)
    assert not np.array_equal(losses[1], losses[0])


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_same_seed_same_bits_other_seed_other_weights(tiny, examples, dropout):
    first, log = trained(tiny[0], examples, config(lora(dropout=dropout)), seed=0)
    torch.rand(5)
    again, other = trained(tiny[0], examples, config(lora(dropout=dropout)), seed=0)
    assert torch.equal(parameters(first), parameters(again))
    pd.testing.assert_frame_equal(*(table.drop(columns=["seconds", "peak_mib"]) for table in (log, other)))
    assert not torch.equal(parameters(first), parameters(trained(tiny[0], examples, seed=1)[0]))


def test_dropout_reaches_the_adapters(tiny, examples):
    without, some = (trained(tiny[0], examples, config(lora(dropout=dropout)))[0] for dropout in (0.0, 0.3))
    assert not torch.equal(parameters(without), parameters(some))


def test_seed_fixes_the_start(tiny):
    first, again, other = (parameters(attached(tiny[0], lora(), seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_looking_changes_nothing_where_there_is_dropout(tiny, examples):
    settings = config(lora(dropout=0.3))
    seen = []
    plain, _ = trained(tiny[0], examples, settings)
    watched, _ = trained(tiny[0], examples, settings, at_epoch=lambda c, e: seen.append(logits(c.model)))
    assert torch.equal(parameters(plain), parameters(watched))
    torch.testing.assert_close(logits(watched), seen[-1], rtol=0, atol=1e-5)  # it is looked at without dropout


# --- unlearning ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def task(sharp, encoder, data, examples, scored):
    """`objective -> task` with everything that any of them needs."""
    forget, retain = examples[-4:], examples[:-4]
    rows = refuse(data.forget("forget10"), LINES, 0)
    refusals = Refusals(encoder.examples(rows), score_table(sharp, encoder, rows, token_table(encoder, rows), [], None))

    def make(objective):
        choice = {"rmu": {"rmu": {"layer": 0}}, "simnpo": {"simnpo": {"beta": 0.1}}}.get(objective, objective)
        retain_term = {"embed_diff": {"layer": 0}} if objective == "rmu" else "kl"
        starting = Starting(
            retain=reference.compute(sharp, retain, None, 0 if objective == "rmu" else None),
            forget=reference.compute(sharp, forget, None),
            refusals=refusals,
        )
        method = MethodConfig(weighting="entropy", objective=choice, retain=retain_term, strength=0.3)
        return Unlearning(method, forget, retain, scored, seed=0, hidden_size=32, starting=starting)

    return make


@pytest.mark.parametrize("frozen", ["float32", "bfloat16"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_unlearns_with_adapters(sharp, task, objective, frozen):
    model, run, recorded = copy.deepcopy(sharp), task(objective), []
    settings = config(lora(frozen=frozen), epochs=2, batch_size=4, micro_batch_size=3, learning_rate=1e-3)
    log = train(model, run, 4, settings, 0, gpus=0, at_epoch=lambda c, e: recorded.append(run.weights(c)))
    assert np.isfinite(log.drop(columns=["seconds", "peak_mib"])).all(axis=None)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert len(recorded) == 3
    layer = model.model.layers[0].self_attn.q_proj.weight
    started = sharp.model.layers[0].self_attn.q_proj.weight
    assert (layer - (started.bfloat16().float() if frozen == "bfloat16" else started)).abs().max() > 1e-6
    torch.testing.assert_close(
        model.lm_head.weight.detach(), sharp.lm_head.weight.detach().to(getattr(torch, frozen)).float()
    )


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("targets", [["query"], ["q_proj", "proj"], ["lm_head"], ["embed_tokens"]])
def test_unknown_targets_are_named(tiny, targets):
    """An adapted head would be one that is never used."""
    model = copy.deepcopy(tiny[0])
    with pytest.raises(
        InputError, match=rf"no linear layer .* called '{targets[-1]}'; correct `lora.targets` .*q_proj"
    ):
        attach(model, lora(targets=targets), 0)
    assert vars(model).keys() == vars(tiny[0]).keys()


@pytest.mark.parametrize("bad", [{"rank": 0}, {"alpha": 0}, {"dropout": 1.0}, {"frozen": "float16"}, {"r": 8}])
def test_senseless_settings_are_refused(bad):
    with pytest.raises(ValidationError):
        LoraConfig(**bad)


def test_convolutions_of_gpt2_are_linear_layers_too():
    model = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=32, n_embd=16, n_layer=1, n_head=2)).eval()
    for targets in ("all-linear", ["c_attn", "mlp.c_fc"]):
        adapted = attached(model, lora(targets=targets))
        for name, p in adapted.named_parameters():
            if "lora_B" in name:
                p.data.normal_()
        expected = logits(adapted)
        merge(adapted)
        torch.testing.assert_close(logits(adapted), expected, rtol=1e-5, atol=1e-5)
        assert (logits(adapted) - logits(model)).abs().max() > 1e-3
