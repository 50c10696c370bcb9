"""Reasons for slow answers that lie in a model: its threads, context, quantisation, its place.

Where a card is, but the model is not on it; where a context takes so much memory that little else
fits; where the processor has no instructions for the numbers that the weights are kept in. The
last is told by this machine's calibration when it measured that type, else by a short table.
"""

from __future__ import annotations

import asyncio
import platform
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from workbench.doctor._check import GB
from workbench.doctor._slow_machine import Reason
from workbench.errors import EngineError, WorkbenchError

if TYPE_CHECKING:
    from workbench.engines import AsyncEngine
    from workbench.types import Model, RunningModel

_LARGE = 0.2 * GB  # of a model: a smaller one is quick in any form
_MUCH_CACHE = 0.3  # of the main memory, for the contexts of one model
_SLOWER = 2.0  # times a Q8_0's cost
_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}


async def model_reasons(engine: AsyncEngine, models: Sequence[Model]) -> list[Reason]:
    """Of the models that are loaded now."""
    if engine.kind == "openai":
        return []
    loaded = await engine.running()
    known = {model.name: model for model in models}
    reasons = []
    for row in loaded:
        model = known.get(row.name)
        if model is None:
            continue
        on_card, placed = await _place(engine, row)
        reasons += placed
        reasons += await _threads(engine, model)
        if engine.kind == "embedded":
            reasons += await asyncio.to_thread(_context, row)
        if not on_card:
            reasons += await asyncio.to_thread(_kind, model)
    return reasons


async def _place(engine: AsyncEngine, row: RunningModel) -> tuple[bool, list[Reason]]:
    """Whether the model is on a card, and what is wrong when it is not."""
    from workbench import meter
    from workbench.hardware import gpus

    cards = [card for card in await asyncio.to_thread(gpus) if not card.shared]
    if not cards:
        return False, []
    held = row.size_vram or (await meter.memory(engine, row.name)).gpu or 0
    if not held:
        what = f"{row.name} runs on the processors, though there is a {cards[0].name}"
        fix = (
            "Install a driver and an Ollama, which brings CUDA and ROCm with it; the embedded "
            "engine uses a card when its llama.cpp was built for it (see docs/engine.md)."
        )
        if engine.kind == "ollama":
            fix = "See `ollama ps` and its log: the driver, num_gpu, or too little of its memory."
        return False, [Reason(what, fix)]
    if row.size and held < 0.95 * row.size and engine.kind == "ollama":
        what = f"only {held / row.size:.0%} of {row.name} are on the {cards[0].name}"
        return True, [Reason(what, "A smaller context or quantisation would fit it whole.")]
    return True, []


async def _threads(engine: AsyncEngine, model: Model) -> list[Reason]:
    """A model that was made to use few cores."""
    from workbench.hardware import usable_cores

    physical, _ = usable_cores()
    with suppress(EngineError):
        said = (await engine.show(model.name)).parameters
        match = re.search(r"^num_thread\s+(\d{1,4})\s*$", said, re.M)
        if match and 0 < int(match[1]) < physical / 2:
            what = f"{model.name} is set to {match[1]} of {physical} cores (num_thread)"
            return [Reason(what, "Create it again without num_thread, or send another value.")]
    return []


def _context(row: RunningModel) -> list[Reason]:
    """Contexts that take a large part of the memory."""
    from workbench import settings
    from workbench.fit import Load, kv_cache_bytes, network_of
    from workbench.hardware import memory
    from workbench.library import Library

    total, _ = memory()
    with suppress(WorkbenchError, OSError):
        network = network_of(Library(settings.models_folder()).find(row.name).header)
        load = Load(context=row.context_length or 1, slots=row.slots or 1)
        return cache_reasons(
            row.name, load.context, load.slots, kv_cache_bytes(network, load), total
        )
    return []


def cache_reasons(name: str, context: int, slots: int, cache: int, total: int) -> list[Reason]:
    """What to say of contexts that take `cache` bytes of `total`."""
    if cache <= _MUCH_CACHE * total:
        return []
    what = (
        f"{name} keeps {slots} contexts of {context} tokens, which take {cache / GB:.1f} of "
        f"{total / GB:.1f} GB"
    )
    fix = "Set num_ctx to what you need, num_parallel to 1, or kv_cache_type to q8_0."
    return [Reason(what, fix)]


def _kind(model: Model) -> list[Reason]:
    from workbench.hardware import machine
    from workbench.machines import newest_calibration

    if model.size < _LARGE:
        return []
    calibration = newest_calibration()
    base, kind = "compute:Q8_0", f"compute:{main_type(model.quantization)}"
    if calibration is not None and calibration.knows(kind):
        times = calibration.cost(kind) / calibration.cost(base)
        measured = f"computes {times:.1f} times as long with {model.quantization} as with Q8_0"
        why = measured if times > _SLOWER else ""
    else:
        here = machine()
        why = unsuited(model.quantization, here.instruction_sets, platform.machine())
    if not why:
        return []
    fix = "Take a Q8_0, Q4_K_M or Q4_0 of it: quicker here, and smaller."
    return [Reason(f"this processor {why} ({model.name})", fix)]


def main_type(quantisation: str) -> str:
    """The type of most weights in a mix: Q4_K of "Q4_K_M"."""
    return re.sub(r"^(Q\d_K)_[SML]$", r"\1", quantisation.upper())


def unsuited(quantisation: str, sets: Collection[str], processor: str) -> str:
    """Why a processor with these instruction sets is slow with it, as the rest of a sentence; ""
    when it is not."""
    kind = quantisation.upper()
    x86 = processor.lower() in {"x86_64", "amd64"}
    if x86 and "avx2" not in sets:
        return "has no AVX2, which llama.cpp's quick routines need"
    if kind == "BF16" and not _BF16 & set(sets):
        return "has no instructions for BF16 and converts every weight of it"
    if kind == "F32":
        return "reads 4 bytes for each weight of an F32 model"
    if kind.startswith(("IQ1", "IQ2", "IQ3")):
        return f"looks the weights of {kind} up in tables, which is slow without a card"
    return ""
