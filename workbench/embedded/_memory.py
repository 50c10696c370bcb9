"""Whether a model will fit: what `workbench.fit` says it takes, against what is free.

A load is admitted when its usual peak fits beside a prompt cache that has filled as far as it
can; what it takes on a graphics card is counted as main memory, since the engine does not know
beforehand how much of it llama.cpp will put there.
"""

from __future__ import annotations

import re

import psutil

from workbench import settings
from workbench.errors import FitError, NotEnoughMemory, SettingsError
from workbench.fit import Load, kv_cache_bytes, memory, network_of
from workbench.gguf import Header
from workbench.hardware import memory as main_memory

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def cache_bytes(header: Header, load: Load) -> int | None:
    """Bytes of the keys and values of all slots; None when the header does not tell."""
    try:
        return kv_cache_bytes(network_of(header), load)
    except FitError:
        return None


def needed_bytes(header: Header, load: Load) -> int:
    """Resident bytes that a child with this model will take at most, as estimated.

    Of a file that llama.cpp may know but we do not: its weights, which are the least.
    """
    try:
        network = network_of(header)
        usual = memory(network, load).ram.value
        return int(usual) + min(load.prompt_cache, kv_cache_bytes(network, load))
    except FitError:
        return sum(tensor.bytes for tensor in header.tensors)


def available_bytes(held: int) -> int:
    """What models may take beside the `held` bytes of those that are loaded.

    WORKBENCH_ENGINE_MEMORY ("6G") limits all models together; the machine always does.
    """
    free = main_memory()[1] + int(psutil.swap_memory().free)
    limit = settings.env("WORKBENCH_ENGINE_MEMORY")
    return min(free, parse_size(limit) - held) if limit else free


def parse_size(text: str) -> int:
    """ "6G", "512 MiB" or plain bytes. Raises SettingsError."""
    match = re.fullmatch(r"(\d{1,15})\s*([KMGT]?)(i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise SettingsError(f'WORKBENCH_ENGINE_MEMORY must be a size like "6G", not {text!r}.')
    return int(match[1]) * _UNITS[match[2].upper()]


def refuse(need: int, there: int) -> NotEnoughMemory:
    """The error of a model that can never fit."""
    return NotEnoughMemory(
        f"model requires more system memory ({human(need)}) than is available ({human(there)}); "
        "choose a smaller model or a smaller num_ctx",
        500,
    )


def human(size: int) -> str:
    """1610612736 → "1.5 GiB"."""
    value = float(max(size, 0))
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.1f} {unit}" if unit != "B" else f"{value:.0f} B"
        value /= 1024
    return f"{value:.1f} TiB"
