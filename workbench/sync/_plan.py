"""What it takes to have a release's models in an engine: looked up, nothing is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import InvalidRequest
from workbench.protocol import ModelName
from workbench.releases import Release
from workbench.sync._again import commands_for, line, words_for

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.types import Model

State = Literal["here", "differs", "missing"]
Action = Literal["none", "copy", "pull", "make", "by hand"]
_DEEPEST = 5  # models of which one is made of the next


@dataclass(frozen=True, slots=True)
class Step:
    """One model of a release, or one that such a model is made of (then without roles)."""

    roles: tuple[str, ...]
    model: str
    digest: str  # wanted
    found: str  # the digest that the name has now; "" where there is none
    action: Action
    origin: str = ""  # the name to pull or to copy, or the model to make it of
    origin_digest: str = ""
    modelfile: str = ""
    quantize: str = ""  # the kind to write the origin's weights in; "" leaves them
    words: str = ""
    commands: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """What is in the engine under this name."""
        return "here" if self.found == self.digest else "differs" if self.found else "missing"


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What has to be done, in this order."""

    version: str
    steps: tuple[Step, ...]

    @property
    def todo(self) -> tuple[Step, ...]:
        """The steps that change something, or that a person has to do."""
        return tuple(one for one in self.steps if one.action != "none")


class Installed:
    """The models of an engine by name and by digest, as they are now."""

    def __init__(self, engine: Engine) -> None:
        models: list[Model] = engine.models()
        self._digests = {ModelName.parse(one.name).key(): one.digest for one in models}
        self._names = {one.digest: one.name for one in reversed(models)}

    def digest(self, name: str) -> str:
        """Of the model of this name; "" without one."""
        return self._digests.get(ModelName.parse(name).key(), "")

    def name(self, digest: str) -> str:
        """Of a model with this digest; "" without one."""
        return self._names.get(digest, "")


def plan_sync(engine: Engine, release: Release) -> SyncPlan:
    """What is here, what differs, what is missing, and how each is had. Raises EngineError."""
    here = Installed(engine)
    steps: dict[tuple[str, str], Step] = {}
    for one in release.members:
        for step in _steps(here, one.model, one.digest, one.source, one.how, one.role, 0):
            key = (ModelName.parse(step.model).key(), step.digest)
            known = steps.get(key, step)
            better = step if known.action == "by hand" else known
            roles = dict.fromkeys((*known.roles, *step.roles))
            steps[key] = replace(better, roles=tuple(roles))
    return SyncPlan(release.version, tuple(steps.values()))


def _steps(
    here: Installed, model: str, digest: str, source: str, how: Mapping[str, Any], role: str,
    depth: int,
) -> Iterator[Step]:  # fmt: skip
    """The model's own step, after those of what it is made of."""
    found = here.digest(model)
    blank = Step((role,) if role else (), model, digest, found, "none")
    if found == digest:
        yield replace(blank, words=f"{model} is here")
        return
    if other := here.name(digest):
        words = f"{model} is copied from {other}, which is the same"
        yield replace(blank, action="copy", origin=other, words=words + _instead(blank))
        return
    if source == "pulled" and (origin := named(how.get("from") or model)):
        words = f"{model} is pulled from {_registry(origin)}"
        yield replace(blank, action="pull", origin=origin, words=words + _instead(blank))
        return
    base, base_digest = _base(source, how)
    before = list(_before(here, how, base, base_digest, depth)) if base and base_digest else []
    yield from before
    had = bool(base) and (
        here.digest(base) == base_digest or bool(before and before[-1].action != "by hand")
    )
    yield _own(blank, source, how, base, base_digest, had)


def _before(
    here: Installed, how: Mapping[str, Any], base: str, digest: str, depth: int
) -> Iterator[Step]:
    """What it takes to have the model that another one is made of."""
    told = how.get("base_origin")
    if here.digest(base) == digest or not isinstance(told, Mapping) or depth >= _DEEPEST:
        return
    inner = told.get("how")
    inner = inner if isinstance(inner, Mapping) else {}
    yield from _steps(here, base, digest, str(told.get("source")), inner, "", depth + 1)


def _own(
    blank: Step, source: str, how: Mapping[str, Any], base: str, base_digest: str, had: bool
) -> Step:
    """The step of a model that is made here or by a person."""
    text, kind = how.get("modelfile"), str(how.get("quantize") or "")
    whole = isinstance(text, str) and text.strip() and not how.get("adapters")
    if whole and (source == "made" or (source == "tuned" and not kind)):
        if had:
            words = f"{blank.model} is made of {base} by its Modelfile" + _instead(blank)
            return replace(
                blank, action="make", origin=base, origin_digest=base_digest,
                modelfile=str(text), quantize=kind, words=words,
            )  # fmt: skip
        words = (
            f"{blank.model} is made of {base} ({base_digest[:12]}), which is not here. Get that "
            "first."
            if base and base_digest
            else f"{blank.model} is made of {base or 'another model'}, and nobody knows which "
            "version of that: copy it from where it is."
        )
        return replace(blank, action="by hand", words=words)
    if source == "trained":
        words = f"{blank.model} was trained. {words_for(how)}"
        return replace(blank, action="by hand", words=words,
                       commands=commands_for(how, blank.model))  # fmt: skip
    if source == "tuned" and how.get("study"):
        words = f"{blank.model} has other weights than {base}: only its study makes it again."
        study, trial = str(how["study"]), str(how.get("trial"))
        again = line("tune", "apply", study, "--trial", trial, "--name", blank.model)
        return replace(blank, action="by hand", words=words, commands=(again,))
    weights = f" Its weights have {how['weights']}." if how.get("weights") else ""
    words = f"Nobody knows how {blank.model} was made: copy it from where it is.{weights}"
    return replace(blank, action="by hand", words=words)


def _base(source: str, how: Mapping[str, Any]) -> tuple[str, str]:
    keys = ("base", "base_digest") if source == "trained" else ("from", "from_digest")
    name, digest = (how.get(key) for key in keys)
    return named(name), digest if isinstance(digest, str) else ""


def named(value: Any) -> str:
    """A model's name out of a document; "" for what cannot be one."""
    try:
        ModelName.parse(value if isinstance(value, str) else "")
    except InvalidRequest:
        return ""
    return str(value)


def _registry(name: str) -> str:
    parsed = ModelName.parse(name)
    return f"{parsed.scheme + '://' if parsed.scheme else ''}{parsed.host} ({parsed.display()})"


def _instead(step: Step) -> str:
    if not step.found:
        return ""
    return (
        f"; what has this name now ({step.found[:12]}) is kept as {aside(step.model, step.found)}"
    )


def aside(model: str, digest: str) -> str:
    """The name under which a model is kept when another one takes its name."""
    name = ModelName.parse(model)
    return replace(name, tag=f"{name.tag[:60]}-{digest[:12]}").display()
