"""What an engine says that it has, against what should be there.

Of an Ollama only its list can be asked: the digests of manifests, which it computed when it put
the models in. Its files are its own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Protocol

from workbench.integrity._records import Fault, Repair
from workbench.protocol import ModelName
from workbench.types import EngineKind, Model, Progress, RunningModel


class Lister(Protocol):
    """What is asked of an engine here (`workbench.engines.Engine` has all of it)."""

    @property
    def kind(self) -> EngineKind: ...

    def models(self) -> list[Model]: ...


class Mender(Lister, Protocol):
    """What a repair asks of an engine besides."""

    def running(self) -> list[RunningModel]: ...

    def unload(self, model: str) -> None: ...

    def pull(self, name: str) -> Generator[Progress, None, None]: ...

    def copy(self, source: str, destination: str) -> None: ...

    def delete(self, name: str) -> None: ...


_LIMITS = {
    "embedded": "",
    "ollama": (
        "An Ollama keeps its files for itself: its list tells the digest that each model had when "
        "it was installed, and a byte that changed on the disk since is not seen from here. "
        "`ollama pull` reads a model's files again and fetches what is broken."
    ),
    "openai": "A server of the OpenAI protocol tells no digests: nothing can be compared.",
}


def limits(kind: EngineKind) -> str:
    """What cannot be told of an engine of this kind; "" when all can."""
    return _LIMITS[kind]


def engine_faults(engine: Lister, expected: Mapping[str, str]) -> tuple[Fault, ...]:
    """What differs from what is expected: names of models with their digests (of the manifest, bare
    hex or `sha256:…`; "" is any). See `limits` for what an engine does not tell. Raises
    EngineError.
    """
    return compare(engine.models(), expected) if engine.kind != "openai" else ()


def compare(models: Iterable[Model], expected: Mapping[str, str]) -> tuple[Fault, ...]:
    """The same, for a list that is here already. Raises InvalidRequest for what is no name."""
    listed = {ModelName.parse(model.name).key(): model for model in models}
    found = []
    for name, wanted in expected.items():
        digest = wanted.removeprefix("sha256:")
        model = listed.get(ModelName.parse(name).key())
        again = Repair("pull", f"Pull {name} and compare its digest; another one is not kept.")
        if model is None:
            found.append(Fault("absent", None, "is not installed", (name,), again, digest))
        elif digest and model.digest.removeprefix("sha256:") != digest:
            has = model.digest.removeprefix("sha256:")[:12] or "unknown"
            what = f"is another one: its digest is {has}, and {digest[:12]} was expected"
            found.append(Fault("moved", None, what, (name,), again, digest))
    return tuple(found)
