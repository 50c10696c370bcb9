"""The models that are installed in an engine, with what their files or `show` tell.

An engine on this machine names the file of each model in its Modelfile; its header says all.
Where the file cannot be read (another machine, a container), a verbose `show` lists metadata and
tensors, which is the same header in other words; since that is megabytes, it is kept.
"""

from __future__ import annotations

import re
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cards._card import Card
from workbench.cards._describe import card_of, categories_of
from workbench.cards._disk import header_of
from workbench.cards._remote_header import kept_header
from workbench.errors import EngineError, GGUFError
from workbench.gguf import Array, Header, TensorInfo

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.types import Model, ModelDetails

_FROM = re.compile(r"^FROM\s+\"?(/[^\n\"]+|[A-Za-z]:\\[^\n\"]+)\"?\s*$", re.M)


def installed(engine: Engine) -> tuple[Card, ...]:
    """A card for each model in the engine. Raises EngineError when it does not answer."""
    return tuple(_card(engine, model) for model in engine.models())


def _card(engine: Engine, model: Model) -> Card:
    """One model; what `show` refuses is left to the list's facts."""
    listed = Card(
        name=model.name,
        family=_family(model.name),
        capabilities=model.capabilities,
        categories=categories_of((model.name, model.family), model.capabilities),
        quantisation=model.quantization or None,
        origins=("engine",),
    )
    card = listed
    try:
        details = engine.show(model.name)
        header, source, path = _header(engine, model, details)
    except (EngineError, GGUFError) as error:
        card = replace(listed, notes=(str(error),))
    else:
        able = details.capabilities or model.capabilities
        card = card_of(header, model.name, "engine", source=source, capabilities=able, path=path)
        card = replace(
            card,
            family=listed.family,
            quantisation=details.quantization or card.quantisation,
        )
    return replace(
        card, download=model.size or None, installed=model.name, digest=model.digest or None
    )


def _header(engine: Engine, model: Model, details: ModelDetails) -> tuple[Header, str, Path | None]:
    """The model's header, who said it, and the file that it was read from."""
    named = _FROM.search(details.modelfile)
    if named and Path(named[1]).is_file():
        path = Path(named[1])
        try:
            return header_of(path), "the file's header", path
        except GGUFError:
            pass  # not ours to read, or not the file it is on the engine's machine

    def shown() -> Header:
        return _header_of_show(engine.show(model.name, verbose=True), model.size)

    header = kept_header(model.digest, shown) if model.digest else shown()
    return header, "the engine", None


def _header_of_show(details: ModelDetails, size: int) -> Header:
    """What `show` tells, as a header. Raises GGUFError when it tells too little."""
    tensors = details.raw.get("tensors")
    if not isinstance(tensors, list) or not tensors:
        raise GGUFError("The engine does not list the model's tensors.")
    info = details.model_info
    metadata = {key: _value(value) for key, value in info.items()}
    lists = {key: value for key, value in info.items() if isinstance(value, list)}
    spans = {key: (0, _bytes_of(value)) for key, value in lists.items()}
    return Header(3, metadata, tuple(map(_tensor, tensors)), 32, 0, size, spans)


def _bytes_of(values: list[Any]) -> int:
    """What a list takes in a file: texts with their lengths, numbers of four bytes."""
    return sum(
        len(one.encode(errors="replace")) + 8 if isinstance(one, str) else 4 for one in values
    )


def _value(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind = "string" if value and isinstance(value[0], str) else "int32"
    return Array(kind, len(value), tuple(value) if len(value) <= 4096 else None)


def _tensor(record: Any) -> TensorInfo:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        shape = tuple(int(size) for size in record["shape"])
        kind = GGMLQuantizationType[str(record["type"]).upper()]
        block, size = GGML_QUANT_SIZES[kind]
        sound = 0 < len(shape) <= 4 and all(0 < one < 1 << 40 for one in shape)
        if not sound or shape[0] % block:
            raise ValueError
        return TensorInfo(
            str(record["name"])[:64], shape, kind.name, 0, prod(shape) // block * size
        )
    except (KeyError, TypeError, ValueError):
        raise GGUFError("The engine lists tensors that cannot be.") from None


def _family(name: str) -> str:
    """ "llama3.1" of "registry/someone/llama3.1:8b"."""
    return name.rsplit("/", 1)[-1].split(":")[0]
