"""The models of an engine, by name and by digest, as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from workbench.errors import EngineError, InvalidRequest, ReleaseError
from workbench.protocol import ModelName

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.releases import Member
    from workbench.types import Model


@contextmanager
def opened(given: Engine | str | None) -> Iterator[Engine]:
    """An engine that is given as such, by its address, or not: then the one in use."""
    if given is not None and not isinstance(given, str):
        yield given
        return
    from workbench.engines import connect

    with connect(given) as engine:
        yield engine


def lasting(engine: Engine) -> str | None:
    """The address to find an engine by later; None for the one in use, whose address may change."""
    from workbench.engines import connect

    with suppress(EngineError), connect(start=False) as used:
        if used.url == engine.url:
            return None
    return engine.url


def key(name: str) -> str:
    """Equal for names of the same model. Raises ReleaseError."""
    try:
        return ModelName.parse(name).key()
    except InvalidRequest:
        raise ReleaseError(
            f"{name!r:.80} cannot be a model's name. Write it as the engine lists it."
        ) from None


def bare(digest: str) -> str:
    """A digest without its kind."""
    return digest.removeprefix("sha256:")


class Shelf:
    """Looks models up in one list of the engine."""

    def __init__(self, engine: Engine) -> None:
        self._models = {ModelName.parse(one.name).key(): one for one in engine.models()}

    @property
    def short_names(self) -> list[str]:
        """Of all models, as they are typed."""
        return [one.name.removesuffix(":latest") for one in self._models.values()]

    def find(self, name: str) -> Model | None:
        """The model of this name. Raises ReleaseError for what is no name."""
        return self._models.get(key(name))

    def digest(self, name: str) -> str:
        """Of the model of this name; "" without one."""
        found = self.find(name)
        return bare(found.digest) if found else ""

    def having(self, digest: str, first: str = "") -> str:
        """The name of a model with this digest, `first` before others; "" without one."""
        if first and digest and self.digest(first) == digest:
            return first
        same = (one.name for one in self._models.values() if bare(one.digest) == digest)
        return next(same, "") if digest else ""

    def lacking(self, members: Iterable[Member]) -> list[Member]:
        """Those that are not here under their names with their digests."""
        return [one for one in members if self.digest(one.model) != one.digest]
