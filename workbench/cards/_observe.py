"""Tell the ledger what an Ollama says of a model that it has loaded, and of an answer.

A client cannot see Ollama's process. It sees what `ps` tells, which is what Ollama reckons to
hold in main memory and on the card, and the times in an answer's last chunk. Those lines have a
backend of their own, "ollama", so that they correct only predictions for it.

Limits: memory counts only where all or nothing of the model is on the card, since nobody tells
how many layers are. A prompt's speed counts only right after a load, when nothing of it can be
cached. Whether the machine was busy is not known. The embedded engine tells the ledger itself.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from workbench.cards._engine import _card as card_of_installed
from workbench.errors import FitError, WorkbenchError
from workbench.fit import Estimate, Load, Measurement, Network, corrected, memory, record
from workbench.machines import speed
from workbench.types import Metrics, Model, RunningModel

if TYPE_CHECKING:
    from workbench.engines import Engine

_PROMPT_TOKENS = 64
_WRITTEN_TOKENS = 32
_LOADED_NOW = 100_000_000  # nanoseconds of loading that are more than looking a model up
_MOST_NETWORKS = 64
_HERE = {"localhost", "127.0.0.1", "::1"}
_networks: dict[tuple[str, str], Network | None] = {}
_log = logging.getLogger(__name__)


def observe(engine: Engine, name: str, metrics: Metrics | None = None) -> int:
    """Record what is known of the loaded model `name`, and of an answer that cost `metrics`.

    At most one line a minute of each quantity; the number of lines told. It asks the engine and
    writes to the store, so call it in a thread; nothing that fails in it is raised.
    """
    if engine.kind != "ollama":
        return 0
    try:
        model = _running(engine, name)
        lines = [] if model is None else list(_lines(engine, model, metrics))
        record(*lines)
    except WorkbenchError as error:
        _log.info("nothing is told to the ledger of %s: %s", name, error)
        return 0
    return len(lines)


def _running(engine: Engine, name: str) -> RunningModel | None:
    wanted = {name, f"{name}:latest"}
    return next((model for model in engine.running() if model.name in wanted), None)


def _lines(engine: Engine, model: RunningModel, metrics: Metrics | None) -> Iterator[Measurement]:
    digest = str(model.raw.get("digest") or "")
    network = _network(engine, model, digest)
    architecture = network.architecture.name if network else "unknown"
    on_card = model.size_vram >= model.size > 0
    load = Load(
        context=model.context_length or 4096, gpu_layers=-1 if model.size_vram else 0,
        prompt_cache=0,
    )  # fmt: skip
    version = f"ollama {engine.version()}"
    whole = on_card or not model.size_vram
    for quantity, measured, counts in _measured(model, metrics):
        formula = _formula(network, load, quantity, metrics or Metrics())
        shown = formula and corrected(
            formula, quantity=quantity, backend="ollama", architecture=architecture
        )
        yield Measurement(
            quantity=quantity,
            measured=measured,
            backend="ollama",
            architecture=architecture,
            model=model.name,
            digest=digest,
            quantisation=network.quantisation if network else "",
            version=version,
            load=load,
            formula=formula,
            corrected=shown,
            counts=counts and whole,
            details={"size": model.size, "size_vram": model.size_vram, "busy": None},
            key=_key(engine.url, digest or model.name, quantity),
            machine=_machine(engine.url),
        )


def _measured(model: RunningModel, metrics: Metrics | None) -> Iterator[tuple[str, float, bool]]:
    """Quantity, value, and whether it is what the formula is about."""
    if model.size > model.size_vram:
        yield "memory_ram", model.size - model.size_vram, model.size_vram == 0
    if model.size_vram > 0:
        yield "memory_gpu", model.size_vram, True
    if metrics is None:
        return
    reading, writing = metrics.prompt_tokens_per_second, metrics.tokens_per_second
    if reading and metrics.prompt_eval_count >= _PROMPT_TOKENS:
        yield "prompt_speed", reading, metrics.load_duration > _LOADED_NOW
    if writing and metrics.eval_count >= _WRITTEN_TOKENS:
        yield "generation_speed", writing, True


def _network(engine: Engine, model: RunningModel, digest: str) -> Network | None:
    key = (engine.url, digest or model.name)
    if key not in _networks:
        if len(_networks) >= _MOST_NETWORKS:
            _networks.clear()
        _networks[key] = card_of_installed(engine, Model(model.name, digest=digest)).network
    return _networks[key]


def _formula(network: Network | None, load: Load, quantity: str, cost: Metrics) -> Estimate | None:
    if network is None:
        return None
    try:
        if quantity.startswith("memory"):
            priced = memory(network, load)
            return priced.gpu if quantity == "memory_gpu" else priced.ram
        pace = speed(network, load, prompt=cost.prompt_eval_count, written=cost.eval_count)
    except FitError:
        return None
    if pace is None:
        return None
    return pace.prompt if quantity == "prompt_speed" else pace.generation


def _machine(url: str) -> str:
    """ "" is this machine; another engine's lines say nothing of this one."""
    host = urlsplit(url).hostname or ""
    return "" if host in _HERE else "at-" + hashlib.sha256(host.encode()).hexdigest()[:16]


def _key(url: str, digest: str, quantity: str) -> str:
    minute = int(time.time() // 60)
    return hashlib.sha256(f"{url} {digest} {quantity} {minute}".encode()).hexdigest()
