"""What a model would read: the conversation as its template writes it, before it is built."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from workbench.domains._base import Base, needed
from workbench.domains._shelf import Domain
from workbench.errors import EngineError, ModelfileError
from workbench.protocol import Modelfile, compose, is_go_template, parse_modelfile

if TYPE_CHECKING:
    from workbench.engines import Engine

Turn = Mapping[str, Any]
_EXAMPLE = ("Hello! What can you do for me?",)


def preview(
    source: Domain | str,
    messages: Sequence[Turn | str] | None = None,
    engine: Engine | None = None,
    *,
    base: str | None = None,
) -> str:
    """The text that a model gets to read for these messages, up to where it goes on.

    `source` is a domain, a Modelfile's text, or the name of an installed model; a message that is
    a plain text is the user's. Without messages the domain's first example is asked. `base` takes
    the place of what FROM says. Only a Modelfile with a template of Go's kind can do without an
    engine. Raises ModelfileError, EngineError.
    """
    asks = source.asks[:1] if isinstance(source, Domain) else ()
    turns = [
        {"role": "user", "content": one} if isinstance(one, str) else dict(one)
        for one in (messages or asks or _EXAMPLE)
    ]
    text = source.modelfile if isinstance(source, Domain) else source
    if not is_text(text):
        return _engine(engine).render(text, turns)
    modelfile = parse_modelfile(text)
    turns = _whole(modelfile, turns)
    if modelfile.template and is_go_template(modelfile.template):
        return compose(modelfile.template, turns)
    known = needed(_engine(engine), [base] if base else modelfile.from_)
    if modelfile.template:
        return _by_a_copy(_engine(engine), known, modelfile.template, turns)
    if known.template and is_go_template(known.template):
        return compose(known.template, turns)
    return _engine(engine).render(known.name, turns)


def is_text(source: str) -> bool:
    """Whether it is a Modelfile's text rather than a name."""
    return "\n" in source or len(source.split()) > 1


def _whole(modelfile: Modelfile, turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The turns with what the Modelfile puts before them."""
    before = [{"role": turn.role, "content": turn.content} for turn in modelfile.messages]
    own = modelfile.system and not any(turn["role"] == "system" for turn in turns)
    system = [{"role": "system", "content": modelfile.system}] if own else []
    return [*system, *before, *turns]


def _by_a_copy(engine: Engine, base: Base, template: str, turns: Sequence[Turn]) -> str:
    """By a model that has the template for a moment: the engine renders foreign Jinja in a process
    of its own, where it can do no harm."""
    name = f"in-the-making:preview-{hashlib.sha256(template.encode()).hexdigest()[:12]}"
    try:
        for _ in engine.create(name, from_=base.name, template=template):
            pass
        return engine.render(name, turns)
    finally:
        with suppress(EngineError):
            engine.delete(name)


def _engine(engine: Engine | None) -> Engine:
    if engine is None:
        raise ModelfileError(
            "Its template is the base model's, so it can only be shown with an engine. Start one: "
            "`workbench engine start`."
        )
    return engine
