"""Putting a model into the engine in use: made beside, asked, and only then given its name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import EngineError, TrainingError
from workbench.export._files import sha256
from workbench.export._names import checked_name, find_model, refuse_to_replace

if TYPE_CHECKING:
    from workbench.engines import Engine

_log = logging.getLogger(__name__)

_QUESTIONS = ("Hello! Who are you?", "Write one short sentence.", "def main():")
_ANSWER = 48  # tokens are enough to see that it answers


@dataclass(frozen=True, slots=True)
class Deployed:
    """A model of the engine: its name there, the digest of its manifest, its first answer."""

    name: str
    digest: str
    answer: str


def create(engine: Engine, name: str, gguf: Path, **given: Any) -> str:
    """Create `name` from `gguf`; returns the model's digest. Raises EngineError."""
    return _create(engine, name, files={gguf.name: gguf}, **given)


def deploy(
    engine: Engine,
    name: str,
    gguf: Path | None,
    *,
    adapter: Path | None = None,
    base_model: str = "",
    system: str = "",
    parameters: Mapping[str, Any] | None = None,
    template: str = "",
    license: str = "",
    replace: bool = False,
) -> Deployed:
    """Create `name` in the engine from `gguf`, or from its model `base_model`; ask it something.

    `adapter` is a GGUF adapter on top of either. The model is made under another name first: one
    that answers nothing, or a kill, leaves a model of this name as it was.

    Raises TrainingError for a name that is taken unless `replace`, for a model that is mute;
    InvalidRequest for a bad name; EngineError.
    """
    name = checked_name(name)
    if not replace:
        refuse_to_replace(engine, name)
    if base_model and find_model(engine, base_model) is None:  # an engine would go and fetch it
        raise TrainingError(
            f"There is no model {base_model} for the adapter in the engine. Give its GGUF file."
        )
    file = adapter or gguf
    trial = f"in-the-making:{sha256(file)[:12] if file else 'copy'}"
    given: dict[str, Any] = {"from_": base_model} if gguf is None else {"files": {gguf.name: gguf}}
    if adapter is not None:
        given["adapters"] = {adapter.name: adapter}
    given |= {"system": system, "parameters": dict(parameters or {})}
    given |= {"template": template, "license": license}
    try:
        _create(engine, trial, **{key: value for key, value in given.items() if value})
        answer = _first_answer(engine, trial, name)
        engine.copy(trial, name)
    finally:
        with suppress(EngineError):
            engine.delete(trial)
    return Deployed(name, _listed(engine, name), answer)


def _create(engine: Engine, name: str, **given: Any) -> str:
    for step in engine.create(name, **given):
        _log.info("Creating %s: %s", name, step.status)
    return _listed(engine, name)


def _listed(engine: Engine, name: str) -> str:
    """The digest of a model that was made."""
    made = find_model(engine, name)
    if made is None:
        raise TrainingError(f"The engine made {name} and does not list it. Look at its log.")
    return made.digest


def _first_answer(engine: Engine, model: str, name: str) -> str:
    """What it says to the first question that it has an answer to."""
    for question in _QUESTIONS:
        reply = engine.generate(
            model, question, options={"seed": 0, "num_predict": _ANSWER}, keep_alive=0
        )
        if reply.text.strip() or reply.thinking.strip():
            return reply.text or reply.thinking
    raise TrainingError(
        f"{name} was made and answers nothing, so it was not kept. Is its end of a turn the first "
        "thing that it learnt? Train it with answers, or for longer."
    )
