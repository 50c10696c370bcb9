"""The embedding model: found in the engine by its digest, and texts made vectors by it.

A name can be given to another model at any time. So the digest is what counts, and it is looked
at again after the vectors have come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import InvalidRequest, VectorError
from workbench.protocol import ModelName
from workbench.vectors._records import bare, mismatch_words

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.types import Model

FLOATS = "<f4"  # how a vector is kept: little-endian float32
_MOST_CHARACTERS = 4_000_000  # in one request: engines limit its size


def _portions(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in lists that one request can carry, each of at least one text."""
    some: list[str] = []
    for text in texts:
        if some and sum(map(len, some)) + len(text) > _MOST_CHARACTERS:
            yield some
            some = []
        some.append(text)
    yield some


@contextmanager
def engine_of(given: Engine | None) -> Iterator[Engine]:
    """`given`, or the engine in use. Raises EngineUnreachable."""
    if given is not None:
        yield given
        return
    from workbench.engines import connect

    with connect() as engine:
        yield engine


@dataclass(frozen=True, slots=True)
class Embedder:
    """One model of an engine, known by its digest; `collection` is for the words of errors."""

    engine: Engine
    model: str
    digest: str
    collection: str

    def vectors(self, texts: Sequence[str]) -> list[bytes]:
        """Of each text its direction: float32 of length one, as it is kept.

        Raises VectorError when the model's name has been given to another one meanwhile, and for
        an answer that is no direction; EngineError.
        """
        import numpy as np

        answer: list[tuple[float, ...]] = []
        for some in _portions(texts):
            answer += self.engine.embed(self.model, some).vectors
        try:
            made = np.array(answer, dtype=np.float64).reshape(len(texts), -1)
        except ValueError:
            raise self._useless("vectors of different lengths") from None
        lengths = np.linalg.norm(made, axis=1)
        if not made.size or not np.isfinite(lengths).all():
            raise self._useless("no numbers")
        if not lengths.all():
            nothing = texts[int(np.argmin(lengths))]
            raise self._useless(f"no direction for {nothing[:60]!r}")
        now = {bare(one.digest) for one in _named(self.engine.models(), self.model)}
        if self.digest not in now:
            raise VectorError(
                mismatch_words(self.collection, self.model, self.digest, next(iter(now), ""))
            )
        return [row.tobytes() for row in (made / lengths[:, None]).astype(FLOATS)]

    def dimensions(self) -> int:
        """The length of its vectors."""
        return len(self.vectors(["How long is a vector?"])[0]) // 4

    def _useless(self, what: str) -> VectorError:
        return VectorError(
            f"The embedding model {self.model} answered {what}. Choose another embedding model, "
            "or look at the engine's log."
        )


def embedder(engine: Engine, model: str, collection: str) -> Embedder:
    """The model of this name, whichever it is now. Raises VectorError when there is none."""
    found = next(iter(_named(engine.models(), model)), None)
    if found is None:
        raise VectorError(
            f"There is no model {model} in the engine. Get it with `workbench models pull`, or "
            "make all-minilm without a network: `workbench starter --embedding`."
        )
    if not found.digest:
        raise VectorError(
            "This engine tells no digests of its models, so nobody could know later whether the "
            "vectors are still this model's. Use an Ollama or the embedded engine."
        )
    return Embedder(engine, found.name, bare(found.digest), collection)


def embedder_of(engine: Engine, model: str, digest: str, collection: str) -> Embedder:
    """The model with this digest, under its own name or another. Raises VectorError."""
    installed = engine.models()
    named = _named(installed, model)
    for one in [*named, *installed]:
        if bare(one.digest) == digest:
            return Embedder(engine, one.name, digest, collection)
    now = bare(named[0].digest) if named else ""
    raise VectorError(mismatch_words(collection, model, digest, now))


def _named(installed: Sequence[Model], name: str) -> list[Model]:
    return [one for one in installed if same_model(one.name, name)]


def same_model(one: str, other: str) -> bool:
    """Whether two names are the same model's."""
    try:
        return ModelName.parse(one).key() == ModelName.parse(other).key()
    except InvalidRequest:
        return one == other
