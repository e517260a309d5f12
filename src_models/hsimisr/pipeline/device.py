"""Which device a job runs on, how much memory it has, and how many threads a process may use."""

from __future__ import annotations

import os

import psutil
import torch

from hsimisr.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """`auto` takes a GPU where there is one; raises ConfigError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    unknown = ConfigError(f"device {name!r} is unknown; give auto, cpu, cuda or cuda:<number>")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise unknown from None
    if device.type not in ("cpu", "cuda"):  # torch knows more, but not all that a job needs runs there
        raise unknown
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r} asked for, but torch finds no GPU; use --device cpu or auto")
    if device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise ConfigError(f"device {name!r} asked for, but the last GPU is cuda:{torch.cuda.device_count() - 1}")
    return device


def free_memory(device: torch.device) -> int:
    """Bytes that a job may expect to get."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def use_available_threads() -> int:
    """Set torch's threads to the cores this process may run on, and return their number."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(threads)
    return threads


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; on a CPU torch says so in a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
