"""What a search has to know of a model, its engine and the machine, and what a point takes there.

All of it comes over the engine's protocol, and on this machine from the model's file. Of an
engine elsewhere neither cores nor cards nor memory can be told: they are None then, and nothing
is left out for their sake.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import FitError, GGUFError, InvalidRequest
from workbench.fit import (
    Load,
    Memory,
    Network,
    Profile,
    fit,
    kv_cache_bytes,
    network_of,
    requantised,
)
from workbench.gguf import read_header
from workbench.protocol import OPTIONS, option_from_text
from workbench.space._values import Point
from workbench.types import EngineKind, ModelDetails

if TYPE_CHECKING:
    from workbench.engines import Engine

_FROM = re.compile(r"^FROM\s+\"?(/[^\n\"]+|[A-Za-z]:\\[^\n\"]+)\"?\s*$", re.M)
_DRAFT = re.compile(r"^DRAFT\s+\S", re.M | re.I)
_CONTEXT, _BATCH, _SLOTS, _SLOTS_BYTES = 4096, 512, 4, 2**30  # the engine's own choices


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model where it is served. None is what cannot be told."""

    model: str
    engine: EngineKind
    own: Mapping[str, Any] = field(default_factory=dict)  # its own parameters, as options
    context: int | None = None  # tokens that it was trained with
    embedding: bool = False  # it makes vectors and writes nothing
    quantisation: str = ""  # "Q4_K_M"
    draft: bool = False  # it brings a small model that guesses ahead
    threads: int | None = None  # logical processors that may be used
    profile: Profile | None = None  # the machine, with the memory that models may take now
    network: Network | None = field(default=None, repr=False)


def facts_of(engine: Engine, model: str) -> ModelFacts:
    """What `engine` and this machine tell of a model. Raises EngineError, ModelNotFound."""
    from workbench.hardware import usable_cores
    from workbench.machines import this_machine
    from workbench.meter import clocks

    details = engine.show(model)
    here = clocks(engine.url) is not None
    return ModelFacts(
        model=model,
        engine=engine.kind,
        own=_own(details.parameters),
        context=details.context_length,
        embedding="completion" not in (details.capabilities or ("completion",)),
        quantisation=details.quantization,
        draft=_DRAFT.search(details.modelfile) is not None,
        threads=usable_cores()[1] if here else None,
        profile=this_machine() if here else None,
        network=_network(details) if here else None,
    )


def predicted_memory(point: Point, facts: ModelFacts) -> Memory | None:
    """What the model takes at its peak under a point, by `workbench.fit`; None where that cannot
    be told. As many layers are put onto cards as fit."""
    if facts.network is None or facts.profile is None:
        return None
    network = facts.network
    try:
        if quantisation := point.get("quantisation"):
            network = requantised(network, str(quantisation))
        return fit(network, load_of(network, point, facts), facts.profile).memory
    except FitError:
        return None


def load_of(network: Network, point: Point, facts: ModelFacts) -> Load:
    """How a point loads the model. What it does not say is the model's own, or as the engine
    chooses: the embedded one takes 4 slots when their caches stay below 1 GiB."""
    told = {**facts.own, **point}
    context = int(told.get("num_ctx") or _CONTEXT)
    context = max(4, min(context, facts.context or context))
    load = Load(
        context=context,
        slots=int(told.get("num_parallel") or 0) or _SLOTS,
        batch=min(int(told.get("num_batch") or _BATCH), context),
        cache_type=str(told.get("kv_cache_type") or "f16"),
        flash_attention=told.get("flash_attention"),
        threads=int(told.get("num_thread") or 0),
        embedding=facts.embedding,
    )
    several = facts.engine == "embedded" and kv_cache_bytes(network, load) <= _SLOTS_BYTES
    return load if told.get("num_parallel") or several else replace(load, slots=1)


def too_large(point: Point, facts: ModelFacts, most: int | None = None) -> str:
    """Why a point is not worth trying: it takes more than `most` bytes, or than this machine has,
    by `workbench.fit`. Empty where it fits or where nobody can tell."""
    memory = predicted_memory(point, facts)
    if memory is None or facts.profile is None:
        return ""
    cards = memory.gpu.value if memory.gpu else 0.0
    needed = memory.ram.value + cards
    if most is not None and needed > most:
        return f"It would take {_size(needed)}; {_size(most)} are allowed."
    held = memory.ram.value + (cards if facts.profile.shared else 0.0)
    if held > facts.profile.memory:
        return f"It would take {_size(held)}; this machine has {_size(facts.profile.memory)} free."
    return ""


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _own(text: str) -> dict[str, Any]:
    """The numbers, words and truths among a model's parameters, one a line as `show` has them."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name in OPTIONS and OPTIONS[name].kind != "list":
            try:
                given = json.loads(value)
                found[name] = option_from_text(name, str(given))
            except (ValueError, InvalidRequest):
                continue  # the engine would not take it either
    return found


def _network(details: ModelDetails) -> Network | None:
    named = _FROM.search(details.modelfile)
    if named is None or not Path(named[1]).is_file():
        return None
    try:
        return network_of(read_header(Path(named[1])))
    except (FitError, GGUFError, OSError):
        return None
