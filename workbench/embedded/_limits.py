"""The engine's settings from the environment, and what they and a request make of a load."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import psutil

from workbench import settings
from workbench.embedded._memory import cache_bytes
from workbench.embedded._runner import Settings
from workbench.errors import FitError, InvalidRequest, SettingsError
from workbench.fit import Load, network_of
from workbench.gguf import Header
from workbench.hardware import usable_cores
from workbench.library import Installed
from workbench.protocol import is_go_template, parse_duration, parse_keep_alive

_DEFAULT_CONTEXT = 4096
_PROMPT_CACHE_MIB = 256
_PARALLEL = 4  # slots, when their KV caches together stay below the next number
_PARALLEL_KV_BYTES = 2**30
_SMALL_MODEL = 32 * 2**20  # bytes
_CACHE_BLOCK = 32  # numbers that share a scale in q8_0 and q4_0
_MOST_PARALLEL = 256  # sequences that llama.cpp knows
_LOOK = 0.1  # seconds for which other work is watched before a load


@dataclass(frozen=True, slots=True)
class Limits:
    """The OLLAMA_* variables that the engine honours. 0 means automatic."""

    keep_alive: float = 300.0  # seconds
    parallel: int = 0
    max_loaded: int = 3
    max_queue: int = 512
    context_length: int = 0
    cache_type: str = "f16"
    flash_attention: bool | None = None
    load_timeout: float = 300.0

    @classmethod
    def from_environment(cls) -> Limits:
        """Raises SettingsError for a value that makes no sense."""
        cache_type = settings.env("OLLAMA_KV_CACHE_TYPE", "f16").lower()
        if cache_type not in {"f16", "q8_0", "q4_0"}:
            raise SettingsError(f"OLLAMA_KV_CACHE_TYPE must be f16, q8_0 or q4_0, not {cache_type}")
        flash = settings.env("OLLAMA_FLASH_ATTENTION")
        if cache_type != "f16" and flash and not settings.env_flag("OLLAMA_FLASH_ATTENTION"):
            raise SettingsError(
                "OLLAMA_KV_CACHE_TYPE other than f16 needs OLLAMA_FLASH_ATTENTION=1"
            )
        timeout = parse_duration(settings.env("OLLAMA_LOAD_TIMEOUT", "5m"))
        return cls(
            keep_alive=parse_keep_alive(settings.env("OLLAMA_KEEP_ALIVE", "5m"), bare=True),
            parallel=settings.env_int("OLLAMA_NUM_PARALLEL", 0, minimum=0),
            max_loaded=settings.env_int("OLLAMA_MAX_LOADED_MODELS", 0, minimum=0) or 3,
            max_queue=settings.env_int("OLLAMA_MAX_QUEUE", 512, minimum=1),
            context_length=settings.env_int("OLLAMA_CONTEXT_LENGTH", 0, minimum=0),
            cache_type=cache_type,
            flash_attention=settings.env_flag("OLLAMA_FLASH_ATTENTION") if flash else None,
            load_timeout=timeout if timeout > 0 else 10**8,
        )


def child_settings(model: Installed, options: Mapping[str, Any], limits: Limits) -> Settings:
    """What to load `model` with. `options` are the request's and the model's, merged.

    Raises InvalidRequest for a quantised cache that this model, or attention, cannot have.
    """
    header = model.header
    cache_type = options.get("kv_cache_type") or limits.cache_type
    flash = options.get("flash_attention", limits.flash_attention)
    if cache_type != "f16":
        _check_cache(header, cache_type, flash)
    embedding = "embedding" in model.capabilities
    context = options.get("num_ctx") or limits.context_length or _DEFAULT_CONTEXT
    trained = header.get("context_length")
    if isinstance(trained, int) and trained > 0:
        context = min(context, trained)
    context = max(context, 4)
    asked = options.get("num_parallel") or 0
    parallel = min(asked if asked > 0 else limits.parallel, _MOST_PARALLEL)
    if not parallel:
        several = Load(context, _PARALLEL, cache_type=cache_type)
        size = cache_bytes(header, several)
        parallel = _PARALLEL if size is not None and size <= _PARALLEL_KV_BYTES else 1
    batch = options.get("num_batch") or 512
    threads = options.get("num_thread") or 0  # llama.cpp knows 512 at most
    template = model.template or ""
    return Settings(
        model=str(model.model_path),
        adapters=tuple(map(str, model.adapter_paths)),
        chat_template="" if is_go_template(template) else template,
        embedding=embedding,
        num_ctx=context,
        parallel=parallel,
        # an embedding is computed in one step
        num_batch=context if embedding else min(max(32, batch), max(32, context)),
        num_gpu=options.get("num_gpu", -1),
        main_gpu=options.get("main_gpu", 0),
        num_thread=min(max(threads, 0), 512),
        use_mmap=options.get("use_mmap", False),
        cache_type=cache_type,
        flash_attention=flash,
        prompt_cache_mib=0 if embedding else _PROMPT_CACHE_MIB,
    )


def _check_cache(header: Header, cache_type: str, flash_attention: bool | None) -> None:
    """Refuse in words what llama.cpp would only refuse after it has read the model."""
    if flash_attention is False:
        raise InvalidRequest(
            f"a KV cache of {cache_type} needs flash attention; set flash_attention to true, "
            "or kv_cache_type to f16",
            400,
        )
    with suppress(FitError):
        shape = network_of(header).architecture
        odd = next((n for n in (*shape.key_size, *shape.value_size) if n % _CACHE_BLOCK), None)
        if odd is not None:
            raise InvalidRequest(
                f"a KV cache of {cache_type} keeps blocks of {_CACHE_BLOCK} numbers, and this "
                f"model's heads have {odd}; set kv_cache_type to f16",
                400,
            )


def load_of(settings: Settings, threads: int = 0, gpu_layers: int = 0) -> Load:
    """A child's settings as `workbench.fit` knows them."""
    return Load(
        context=settings.num_ctx,
        slots=settings.parallel,
        batch=settings.num_batch,
        cache_type=settings.cache_type,
        gpu_layers=gpu_layers,
        mmap=settings.use_mmap,
        flash_attention=settings.flash_attention,
        prompt_cache=settings.prompt_cache_mib * 2**20,
        embedding=settings.embedding,
        threads=threads,
    )


@cache
def usable_threads() -> int:
    """Threads that compute: the physical cores, or all logical ones of a small machine."""
    physical, logical = usable_cores()
    return max(1, physical if physical >= 4 else logical)


async def free_threads(model_bytes: int) -> int:
    """How many threads to compute with now, when nobody says.

    Threads wait for each other after every operation, and a thread whose core is taken holds
    up all: on 2 cores beside other work, 2 threads were 5 to 60 times slower than one. So a
    busy core gets no thread; and a small model, whose operations are short, gets one in all,
    which is fast enough.
    """
    most = usable_threads()
    if most == 1 or model_bytes < _SMALL_MODEL:
        return 1
    before = psutil.cpu_times()
    await asyncio.sleep(_LOOK)
    after = psutil.cpu_times()
    passed = [now - then for then, now in zip(before[:8], after[:8], strict=True)]
    idle: float = sum(passed[3:5]) / (sum(passed) or 1)  # idle, and on Linux waiting for disks
    busy = (1 - idle) * (psutil.cpu_count() or 1)
    return max(1, most - round(busy))
