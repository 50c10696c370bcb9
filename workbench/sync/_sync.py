"""A release's models brought into an engine, each only when its digest is the release's.

No model is lost: one that has the name of a member is first given a second name. A tag that has
moved since, or a Modelfile that gives another digest here, is told; what came is kept under a name
of its own, and the member's name stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import EngineError, ModelfileError
from workbench.protocol import Modelfile, ModelName, parse_modelfile
from workbench.releases import Release
from workbench.sync._plan import Installed, Step, SyncPlan, aside, plan_sync
from workbench.types import Progress

if TYPE_CHECKING:
    from workbench.engines import Engine

_DIFFERING = ("template", "system", "license", "messages")
Work = Generator[Progress, None, str]  # what it returns are words for the person


@dataclass(frozen=True, slots=True)
class Synced:
    """How one step ended. `refused`: the engine does not have this version, `words` says why."""

    roles: tuple[str, ...]
    model: str
    outcome: Literal["here", "done", "refused", "by hand"]
    words: str
    commands: tuple[str, ...] = ()


def sync(engine: Engine, wanted: Release | SyncPlan) -> Iterator[Progress | Synced]:
    """Do what can be done; a `Synced` for each model after the progress of getting it.

    One that cannot be had does not keep the others from coming. Raises EngineUnreachable.
    """
    plan = plan_sync(engine, wanted) if isinstance(wanted, Release) else wanted
    for step in plan.steps:
        if step.action in {"none", "by hand"}:
            outcome: Any = "here" if step.action == "none" else "by hand"
            yield Synced(step.roles, step.model, outcome, step.words, step.commands)
            continue
        try:
            words = yield from _WORK[step.action](engine, step)
        except (EngineError, ModelfileError) as error:
            words = f"{step.model} could not be had: {error}"
        done = Installed(engine).digest(step.model) == step.digest
        yield Synced(step.roles, step.model, "done" if done else "refused", words)


def _copy(engine: Engine, step: Step) -> Work:
    yield Progress(f"copying {step.origin} to {step.model}")
    return _named(engine, step, step.origin)


def _pull(engine: Engine, step: Step) -> Work:
    """Pull under the registry's name; under the member's name only what is the very version."""
    before = Installed(engine).digest(step.origin)
    kept = _set_aside(engine, step.origin) if before else ""
    try:
        yield from engine.pull(step.origin)
    except EngineError:
        if kept:
            _forget(engine, kept)
        raise
    came = Installed(engine).digest(step.origin)
    if came == step.digest:
        if not _same(step.origin, step.model):
            return _named(engine, step, step.origin)
        return f"{step.model} is pulled" + (f"; what had its name is {kept}" if kept else "")
    told = f"{step.origin} has moved: the registry now gives {came[:12]}, not {step.digest[:12]}"
    if came == before:
        if kept:
            _forget(engine, kept)
        return f"{told}. That is what is here already; {step.model} stays as it was."
    other = _set_aside(engine, step.origin)
    if kept:
        engine.copy(kept, step.origin)
        _forget(engine, kept)
    else:
        engine.delete(step.origin)
    return (
        f"{told}. It is kept as {other}: measure it and make a release of it, or ask those who "
        "made this release for the model."
    )


def _make(engine: Engine, step: Step) -> Work:
    """Create beside, and give it its name only when it is the very version."""
    if Installed(engine).digest(step.origin) != step.origin_digest:
        return f"{step.origin} is not here as {step.origin_digest[:12]}: get that first."
    trial = f"in-the-making:{step.digest[:12]}"
    base = parse_modelfile(engine.show(step.origin).modelfile)
    given = _differing(parse_modelfile(step.modelfile), base)
    if step.quantize:
        given["quantize"] = step.quantize
    try:
        yield from engine.create(trial, from_=step.origin, **given)
        came = Installed(engine).digest(trial)
        if came == step.digest:
            return _named(engine, step, trial)
        other = aside(step.model, came)
        engine.copy(trial, other)
        return (
            f"{step.model} came out as {came[:12]}, not {step.digest[:12]}: another engine or "
            f"version writes it down otherwise. It is kept as {other}: try it and make a release "
            "of it."
        )
    finally:
        _forget(engine, trial)


def _differing(wanted: Modelfile, base: Modelfile) -> dict[str, Any]:
    """What the Modelfile says beyond its base: the same said again would be written anew."""
    given = {
        name: list(value) if isinstance(value, tuple) else value
        for name in _DIFFERING
        if (value := getattr(wanted, name)) and value != getattr(base, name)
    }
    if "license" in given:  # an engine adds licences to those of the base
        given["license"] = [text for text in given["license"] if text not in base.license]
    own = {k: v for k, v in wanted.parameters.items() if base.parameters.get(k) != v}
    return {**given, **({"parameters": own} if own else {})}


def _named(engine: Engine, step: Step, source: str) -> str:
    """Give `source` the member's name; what has it now is given a second one."""
    kept = _set_aside(engine, step.model) if Installed(engine).digest(step.model) else ""
    engine.copy(source, step.model)
    return f"{step.model} is here" + (f"; what had its name is {kept}" if kept else "")


def _set_aside(engine: Engine, name: str) -> str:
    """A second name for the model of this name."""
    kept = aside(name, Installed(engine).digest(name))
    engine.copy(name, kept)
    return kept


def _forget(engine: Engine, name: str) -> None:
    with suppress(EngineError):
        engine.delete(name)


def _same(a: str, b: str) -> bool:
    return ModelName.parse(a).key() == ModelName.parse(b).key()


_WORK: Mapping[str, Callable[[Engine, Step], Work]] = {
    "copy": _copy, "pull": _pull, "make": _make,
}  # fmt: skip
