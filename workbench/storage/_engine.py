"""The engine whose models are looked at: which one, are its files ours, what has it loaded?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from workbench.errors import EngineUnreachable

if TYPE_CHECKING:
    from workbench.engines import Engine


@contextmanager
def asked(engine: Engine | None) -> Iterator[Engine | None]:
    """The engine, else the one in use; None where none answers, and none is started."""
    if engine is not None:
        yield engine
        return
    from workbench.engines import connect

    own = None
    with suppress(EngineUnreachable):
        own = connect(start=False)
    if own is None:
        yield None
        return
    with own:
        yield own


def is_ours(engine: Engine) -> bool:
    """Whether its models are the files of our library: it is the embedded engine of this home."""
    from workbench.engines import engine_status

    if engine.kind != "embedded":
        return False
    status = engine_status()
    return status is not None and status.url.rstrip("/") == engine.url.rstrip("/")


def loaded(engine: Engine) -> Iterator[tuple[str, str]]:
    """Name and digest of the models that the engine has loaded. Raises EngineError."""
    for model in engine.running():
        yield model.name, str(model.raw.get("digest") or "").removeprefix("sha256:")
