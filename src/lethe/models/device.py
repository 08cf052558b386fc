"""Device, precision and seeds: chosen in one place, with the reason logged."""

import logging
import os
import random
from pathlib import Path

import numpy as np
import torch

log = logging.getLogger(__name__)

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # Linux


def choose_device(gpus: int = 1) -> torch.device:
    """The GPU where there is one and the scheduler grants one (`gpus` > 0), else the CPU."""
    if gpus > 0 and torch.cuda.is_available():
        device, reason = torch.device("cuda"), torch.cuda.get_device_name()
    else:
        device, reason = (
            torch.device("cpu"),
            "no GPU granted" if torch.cuda.is_available() else "no GPU present",
        )
    log.info("device %s (%s), %d threads", device, reason, torch.get_num_threads())
    return device


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """Autocast dtype for `auto`, `float32` or `bfloat16`; None means plain fp32. Master weights are fp32 always."""
    if precision == "auto":
        use = device.type == "cuda" and torch.cuda.is_bf16_supported()
        log.info("precision auto: %s", "bfloat16 autocast (the GPU supports it)" if use else "float32")
    else:
        use = precision == "bfloat16"
        log.info("precision %s, as configured", precision)
    return torch.bfloat16 if use else None


def machine(gpus: int, precision: str) -> dict[str, str | int]:
    """What a result's last digits depend on: device, threads, precision, CUDA; for a table's provenance."""
    device = choose_device(gpus)
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "precision": str(autocast_dtype(precision, device) or torch.float32).removeprefix("torch."),
        "cuda": torch.version.cuda or "none",
    }


def autocast(device: torch.device, dtype: torch.dtype | None) -> torch.autocast:
    """Context of a forward pass at the chosen precision."""
    return torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, and ask for deterministic kernels."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries draw from the global generator
    torch.manual_seed(seed)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)


def peak_mib(device: torch.device) -> float:
    """Peak memory since `reset_peak`, MiB: allocated on the GPU, or resident in the process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if STATUS.exists():
        (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def reset_peak(device: torch.device) -> None:
    """Forget the peak so far; where the system cannot (no GPU, no Linux), later peaks include it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif os.access(CLEAR_REFS, os.W_OK):  # some containers take it away
        CLEAR_REFS.write_text("5")
