"""Low-rank adapters around a model's linear layers, through `peft`.

They are put into the model in place, so that everything else (the loop, the kernel, evaluation while training) sees the
same model class as without them; when training is done they are merged into the weights, and what is saved is a plain
model again. The frozen weights need no fp32 master copy, gradient or optimiser state: 2 bytes per parameter.

`peft` is imported where it is used: it costs half a second, and most runs train all weights.
"""

import torch
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from lethe.config import LoraConfig
from lethe.errors import InputError

ADAPTER = "lethe"


def attach(model: PreTrainedModel, config: LoraConfig, seed: int) -> None:
    """Freeze the model's weights and add trainable fp32 adapters, in place; `seed` fixes their start.

    Raises:
        InputError: if the model has no linear layer of a name in `targets`, or it is the output layer.
    """
    from peft import LoraConfig as PeftConfig
    from peft import LoraModel

    _check_targets(model, config.targets)
    # Not `model.to`: it would round the buffers as well, and rotary positions with them (an angle of 100 by up to 0.2).
    for parameter in model.parameters():
        parameter.data = parameter.data.to(getattr(torch, config.frozen))
    torch.manual_seed(seed)
    LoraModel(
        model,
        {
            ADAPTER: PeftConfig(
                r=config.rank,
                lora_alpha=config.alpha,
                lora_dropout=config.dropout,
                target_modules=config.targets,
                task_type="CAUSAL_LM",
            )
        },
        ADAPTER,
    )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if "lora_" in name:
            parameter.data = parameter.data.float()


def merge(model: PreTrainedModel) -> None:
    """Add the adapters to the weights and remove them, in place; on the CPU, in fp32, where small updates survive."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    model.to("cpu", torch.float32)
    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            model.set_submodule(name, module.get_base_layer())
    model.requires_grad_(True)
    del model.peft_config  # put there by peft


def _check_targets(model: PreTrainedModel, targets: list[str] | str) -> None:
    # The output layer cannot be adapted: the kernel multiplies with its weight and never calls it.
    head = model.get_output_embeddings()
    layers = [name for name, m in model.named_modules() if isinstance(m, torch.nn.Linear | Conv1D) and m is not head]
    for target in targets if isinstance(targets, list) else []:
        if not any(name == target or name.endswith(f".{target}") for name in layers):
            known = sorted({name.rpartition(".")[2] for name in layers})
            raise InputError(
                f"{type(model).__name__}: no linear layer that can be adapted is called '{target}'; correct "
                f"`lora.targets` (there are {', '.join(known)}), or write all-linear."
            )
