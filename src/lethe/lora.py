"""Low-rank adapters around a model's linear layers, through `peft`.

They are put into the model in place, so that everything else (the loop, the kernel, evaluation while training) sees the
same model class as without them; when training is done they are merged into the weights, and what is saved is a plain
model again. The frozen weights need no fp32 master copy, gradient or optimiser state: 2 bytes per parameter.
"""

import torch
from peft import LoraConfig as PeftConfig
from peft import LoraModel
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import PreTrainedModel

from lethe.config import LoraConfig

ADAPTER = "lethe"


def attach(model: PreTrainedModel, config: LoraConfig, seed: int) -> None:
    """Freeze the model's weights and add trainable fp32 adapters, in place; `seed` fixes their start."""
    model.to(getattr(torch, config.frozen))
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
    """Add the adapters to the weights and remove them, in place; on the CPU and in fp32, where small updates survive."""
    model.to("cpu", torch.float32)
    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            model.set_submodule(name, module.get_base_layer())
    model.requires_grad_(True)
