"""A domain as a model of the engine: made beside, asked something, and only then given its name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Any

from workbench.domains._base import Base, needed
from workbench.domains._check import check
from workbench.domains._preview import is_text
from workbench.domains._shelf import Domain, comments, find
from workbench.domains._versions import BUILT_ON, keep
from workbench.errors import EngineError, InvalidRequest, ModelfileError
from workbench.export import checked_name, find_model, refuse_to_replace
from workbench.protocol import Modelfile, ModelName, parse_modelfile
from workbench.types import Progress

if TYPE_CHECKING:
    from workbench.engines import Engine

CONTEXT = 8192  # tokens, where a Modelfile says nothing
_ANSWER = 48  # tokens are enough to see that it answers
_GREETING = "Hello! What can you do for me?"


def target(source: Domain | str, name: str | None = None, base: str | None = None) -> str:
    """What the model is going to be called: `<name>-<domain>` with the name's tag.

    Without a name that of the base is taken: health on `llama3.2:3b` is `llama3.2-health:3b`. A
    text that is no domain needs a name, which is then the model's. Raises ModelfileError,
    InvalidRequest.
    """
    domain = resolved(source)
    if not domain.name:
        if not name:
            raise ModelfileError("Give the model a name: this Modelfile belongs to no domain.")
        return checked_name(name)
    stem = name or base or domain.parsed.from_[0]
    try:
        parsed = ModelName.parse(stem)
    except InvalidRequest:
        raise ModelfileError(
            f"No name can be made of {stem[:60]!r}. Give one, such as --name mine for "
            f"mine-{domain.name}."
        ) from None
    return checked_name(f"{parsed.model}-{domain.name}:{parsed.tag}")


def build(
    engine: Engine,
    source: Domain | str,
    name: str | None = None,
    *,
    base: str | None = None,
    replace: bool = False,
) -> Iterator[Progress]:
    """Make the model; yields its steps, the last one with its digest.

    `source` is a domain, its name, or a Modelfile's text. `base`, an installed model, takes the
    place of what FROM says. A model that answers nothing, or a kill, leaves a model of this name
    as it was. The text that it was built of is kept (`versions_of`).

    Raises ModelfileError (what `check` calls an error; a model that is mute), ModelNotFound for a
    base that is not installed, TrainingError for a name that is taken unless `replace`,
    InvalidRequest, EngineError.
    """
    domain = resolved(source)
    called = target(domain, name, base)
    parsed = domain.parsed
    if parsed.adapters:
        raise ModelfileError(
            "A domain cannot have an ADAPTER. Make a model with it first (`workbench models "
            "create`) and name that one in FROM."
        )
    known = needed(engine, [base] if base else parsed.from_)
    for finding in check(domain.modelfile, engine=engine, base=base):
        if finding.severity == "error":
            raise ModelfileError(f"{finding.message} {finding.fix}".strip(), finding.line)
    if ModelName.parse(known.name).key() == ModelName.parse(called).key():
        raise ModelfileError(f"{called} is the base itself: give the model another name.")
    if not replace:
        refuse_to_replace(engine, called)
    return _steps(engine, domain, _fitted(parsed, known), known, called)


def resolved(source: Domain | str) -> Domain:
    """The domain: itself, by its name, or a nameless one of a text. Raises ModelfileError."""
    if isinstance(source, Domain):
        return source
    if not is_text(source):
        return find(source)
    parse_modelfile(source)
    return Domain("", "", "", "", (), source)


def _fitted(modelfile: Modelfile, base: Base) -> Modelfile:
    """On this base, with a context that it can read."""
    window = int(modelfile.parameters.get("num_ctx", CONTEXT))
    window = min(window, base.context or window)
    parameters = {**modelfile.parameters, "num_ctx": window}
    return changed(modelfile, from_=(base.name,), parameters=parameters)


def _steps(
    engine: Engine, domain: Domain, modelfile: Modelfile, base: Base, called: str
) -> Iterator[Progress]:
    text = _text(domain, modelfile, base)
    window = modelfile.parameters["num_ctx"]
    if window < domain.parsed.parameters.get("num_ctx", CONTEXT):
        yield Progress(f"{base.name} reads {window} tokens, so num_ctx is {window}")
    trial = f"in-the-making:{hashlib.sha256(called.encode()).hexdigest()[:12]}"
    try:
        for step in engine.create(trial, **_given(modelfile)):
            if step.status != "success":
                yield step
        yield Progress("asking it something")
        yield Progress(f"it answers: {_answer(engine, trial, domain, called)}")
        keep(called, text)
        engine.copy(trial, called)
    finally:
        with suppress(EngineError):
            engine.delete(trial)
    made = find_model(engine, called)
    if made is None:
        raise ModelfileError(f"The engine made {called} and does not list it. Look at its log.")
    yield Progress(f"{called} is made", digest=made.digest)


def _given(modelfile: Modelfile) -> dict[str, Any]:
    given = {
        "from_": modelfile.from_[0], "template": modelfile.template, "system": modelfile.system,
        "parameters": dict(modelfile.parameters), "messages": list(modelfile.messages),
        "license": list(modelfile.license),
    }  # fmt: skip
    return {key: value for key, value in given.items() if value}


def _text(domain: Domain, modelfile: Modelfile, base: Base) -> str:
    """What is kept: the comments at the beginning, what it is built on, the whole Modelfile."""
    said = [line for line in comments(domain.modelfile) if not line.startswith(BUILT_ON)]
    digest = base.digest.removeprefix("sha256:")
    return "\n".join([*said, f"{BUILT_ON} {base.name} {digest}", "", modelfile.render()])


def _answer(engine: Engine, model: str, domain: Domain, called: str) -> str:
    """The beginning of its first answer. Raises ModelfileError when it has none."""
    for ask in (*domain.asks[:2], _GREETING):
        turns = [{"role": "user", "content": ask}]
        options = {"seed": 0, "num_predict": _ANSWER}
        reply = engine.chat(model, turns, options=options, keep_alive=0)
        said = " ".join((reply.text or reply.thinking).split())
        if said:
            return said[:80]
    raise ModelfileError(
        f"{called} was made and answers nothing, so it was not kept. Look at its template and its "
        "stop texts: `workbench models build --preview` shows what it reads."
    )
