"""Where a model came from, as far as it is remembered here: what is needed to have it again.

Asked are, in this order: the trainings, the applied studies, the jobs (starter models, downloads),
the engine (which model it was created from), and at last its name. What is only likely says so in
`because`; who gets the model again compares digests anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.errors import EngineError, InvalidRequest, ModelfileError
from workbench.protocol import Modelfile, ModelName, parse_modelfile
from workbench.releases._past import applied, quantised, training_of
from workbench.releases._records import Source
from workbench.store import StoredJob, session

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.types import Model, ModelDetails

_DEEPEST = 5  # models of which one was made of the next
_JOBS = {
    "workbench.starter:build_starter": "starter",
    "workbench.starter:install_minilm": "minilm",
    "workbench.catalogue:install": "pulled",
}
_UNQUANTISED = {"F32", "F16", "BF16"}
Origin = tuple[Source, dict[str, Any]]


class Origins:
    """Looks models up in an engine and in the store, which are read once for several models."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._details: dict[str, ModelDetails | None] = {}
        self._models = {ModelName.parse(one.name).key(): one for one in engine.models()}

    def find(self, name: str) -> Model | None:
        """The installed model of this name."""
        return self._models.get(ModelName.parse(name).key()) if _is_name(name) else None

    @property
    def names(self) -> list[str]:
        """Of all installed models."""
        return [one.name for one in self._models.values()]

    @property
    def digests(self) -> set[str]:
        """Of all installed models."""
        return {one.digest for one in self._models.values()}

    def parent(self, name: str) -> tuple[str, str]:
        """Name and digest of the installed model that this one was created from; else ""."""
        made = self._made(name)
        return ("", "") if made is None else (made[1]["from"], made[1]["from_digest"])

    def details(self, name: str) -> ModelDetails | None:
        """What the engine shows of an installed model."""
        if name not in self._details:
            try:
                self._details[name] = self._engine.show(name) if self.find(name) else None
            except EngineError:
                self._details[name] = None
        return self._details[name]

    def of(self, name: str, digest: str, depth: int = 0) -> Origin:
        """Source and how of the model that had this name and this digest."""
        source, how = self._found(name, digest)
        trained = source == "trained"
        base = str(how.get("base" if trained else "from") or "")
        base_digest = str(how.get("base_digest" if trained else "from_digest") or "")
        if source != "pulled" and base and base_digest and depth < _DEEPEST:
            told = self.of(base, base_digest, depth + 1)
            how["base_origin"] = {"source": told[0], "how": told[1]}
        return source, how

    def _found(self, name: str, digest: str) -> Origin:
        from workbench.lineage import made

        run = made(digest)
        if run is not None:
            return "trained", training_of(run)
        installed = self.find(name)
        same = installed is not None and installed.digest == digest
        weights = {"weights": blob} if same and (blob := self._weights(name)) else {}
        created = self._made(name) if same else None
        if created and not created[1]["from_digest"]:  # models of registries name a base as well
            created = _by_name(name) or created
        for found in (self._tuned(name, digest, same), self._job(name, digest), created):
            if found is not None:
                return found[0], {**found[1], **weights}
        source, how = _by_name(name) or ("unknown", {})
        return source, {**how, **weights}

    def _tuned(self, name: str, digest: str, same: bool) -> Origin | None:
        study = self._applied.get(digest)
        if study is None:
            return None
        text = self._text(name, study["model"]) if same else {"modelfile": ""}
        kind = quantised(study)
        return "tuned", {
            "from": study["model"], "from_digest": study["digest"], "study": study["id"],
            "trial": study["trial"], **text, **({"quantize": kind} if kind else {}),
        }  # fmt: skip

    def _job(self, name: str, digest: str) -> Origin | None:
        if digest not in self._jobs:
            return None
        kind, arguments = self._jobs[digest]
        if kind == "pulled":
            return "pulled", {"from": str(arguments.get("name") or name)}
        return "trained", {"recipe": kind, "settings": dict(arguments)}

    def _made(self, name: str) -> Origin | None:
        details = self.details(name)
        told = details.raw.get("details") if details else None
        base = str(told.get("parent_model") or "") if isinstance(told, Mapping) else ""
        if not base or base.startswith("in-the-making") or not _is_name(base):
            return None
        known, mine, about = self.find(base), self._weights(name), {"from": base, "from_digest": ""}
        if known is not None and mine:
            kind = details.quantization if details else ""
            if mine == self._weights(base):
                about["from_digest"] = known.digest
            elif kind and known.quantization in _UNQUANTISED and kind != known.quantization:
                about |= {"from_digest": known.digest, "quantize": kind}
        return "made", about | self._text(name, base)

    def _text(self, name: str, base: str) -> dict[str, Any]:
        """The Modelfile that makes it of its base; adapters by their hashes alone."""
        read = self._modelfile(name)
        if read is None:
            return {"modelfile": ""}
        made = Modelfile(
            from_=(base,), template=read.template, system=read.system, license=read.license,
            parameters=read.parameters, messages=read.messages, requires=read.requires,
        )  # fmt: skip
        return {
            "modelfile": made.render(),
            **({"adapters": [_blob(one) for one in read.adapters]} if read.adapters else {}),
        }

    def _weights(self, name: str) -> str:
        read = self._modelfile(name)
        return _blob(read.from_[0]) if read else ""

    def _modelfile(self, name: str) -> Modelfile | None:
        details = self.details(name)
        try:
            return parse_modelfile(details.modelfile) if details else None
        except ModelfileError:
            return None

    @cached_property
    def _applied(self) -> dict[str, dict[str, Any]]:
        return {one["made"]: one for one in applied()}

    @cached_property
    def _jobs(self) -> dict[str, tuple[str, Mapping[str, Any]]]:
        """By digest: which kind of job brought it, and what that was asked."""
        query = select(StoredJob.target, StoredJob.arguments, StoredJob.result).where(
            StoredJob.target.in_(_JOBS), StoredJob.state == "done"
        )
        with session(read_only=True) as s:
            rows = s.execute(query.order_by(StoredJob.number)).all()
        return {
            str(result["digest"]).removeprefix("sha256:"): (_JOBS[target], arguments)
            for target, arguments, result in rows
            if isinstance(result, dict) and result.get("digest")
        }


def _by_name(name: str) -> Origin | None:
    if not _is_name(name):  # a folder that a training began with
        return None
    wanted = ModelName.parse(name)
    if wanted.host.lower() != ModelName.parse("any").host:
        return "pulled", {"from": name, "because": "its name begins with a registry's address"}
    from workbench.cards import shipped

    known = {
        ModelName.parse(text).key()
        for card in shipped()
        for text in (card.name, *card.aliases, *(one.name for one in card.variants if one.name))
    }
    if wanted.key() not in known:
        return None
    return "pulled", {"from": name, "because": "the catalogue has a model of this name"}


def _is_name(text: str) -> bool:
    try:
        ModelName.parse(text)
    except InvalidRequest:
        return False
    return True


def _blob(path: str) -> str:
    """`sha256:…` of a path that ends in a blob's name; "" for another one."""
    name = PurePath(path.replace("\\", "/")).name
    bare = name.removeprefix("sha256-").removeprefix("sha256:")
    return f"sha256:{bare}" if len(bare) == 64 and bare != name else ""
