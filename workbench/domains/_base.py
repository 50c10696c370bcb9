"""The base that a Modelfile names, as an engine knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import InvalidRequest, ModelfileError, ModelNotFound
from workbench.export import find_model
from workbench.protocol import ModelName
from workbench.texts import nearest

if TYPE_CHECKING:
    from workbench.engines import Engine

_FILES = (".gguf", ".safetensors", ".bin")


@dataclass(frozen=True, slots=True)
class Base:
    """An installed model that others are built on."""

    name: str
    digest: str
    context: int | None  # tokens that it was trained for
    template: str  # Go's kind, Jinja, or ""
    chats: bool  # whether it writes texts, as far as the engine tells


def is_file(source: str) -> bool:
    """Whether a FROM line means a file or a folder rather than a model's name."""
    return source.startswith((".", "/", "~", "\\")) or source.lower().endswith(_FILES)


def is_name(source: str) -> bool:
    """Whether it can be a model's name."""
    try:
        ModelName.parse(source)
    except InvalidRequest:
        return False
    return True


def base_of(engine: Engine, name: str) -> Base | None:
    """The installed model of this name; None without one. Raises EngineError."""
    found = find_model(engine, name)
    if found is None:
        return None
    try:
        details = engine.show(found.name)
    except ModelNotFound:  # deleted at this moment
        return None
    can = found.capabilities or details.capabilities
    chats = not can or "completion" in can
    return Base(found.name, found.digest, details.context_length or None, details.template, chats)


def needed(engine: Engine, sources: Sequence[str]) -> Base:
    """The installed base of FROM lines. Raises ModelfileError, ModelNotFound, EngineError."""
    if len(sources) != 1 or is_file(sources[0]) or not is_name(sources[0]):
        raise ModelfileError(
            f"FROM {', '.join(sources)[:80]} is not the name of one model. Make a model of files "
            "first (`workbench models create NAME -f Modelfile`) and name that one."
        )
    base = base_of(engine, sources[0])
    if base is None:
        raise ModelNotFound(absent(engine, sources[0]))
    if not base.chats:
        raise ModelfileError(
            f"{base.name} writes no texts (it may be an embedding model). Choose another base."
        )
    return base


def absent(engine: Engine, name: str) -> str:
    """The sentence for a base that is not installed."""
    return (
        f"The base {name} is not installed. Get it with `workbench models pull {name}`, or name "
        f"another base (--base).{nearest(name, [one.name for one in engine.models()])}"
    )
