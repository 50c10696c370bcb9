"""From the names of installed models to the members of a release."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from workbench.errors import ReleaseError
from workbench.releases import _check
from workbench.releases._measured import measurements
from workbench.releases._origin import Origins
from workbench.releases._records import Member
from workbench.texts import nearest

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.types import ModelDetails


def describe(
    engine: Engine, roles: Mapping[str, str], *, pulled: Collection[str] = ()
) -> tuple[Member, ...]:
    """The models of some roles with all that is known of them: from the engine, the lineage, the
    Benchmarks room. `pulled` names models that came from a registry under their own name, where
    that is not known here.

    Raises ReleaseError for a bad role, a model that is not installed, an engine without digests;
    EngineError.
    """
    for role in roles:
        _check.role(role)
    origins = Origins(engine)
    return tuple(_member(origins, role, name, pulled) for role, name in roles.items())


def _member(origins: Origins, role: str, name: str, pulled: Collection[str]) -> Member:
    _check.model_name(name)
    found = origins.find(name)
    if found is None:
        advice = nearest(name, origins.names) or " Get it: `workbench models pull`."
        raise ReleaseError(f"The engine has no model {name!r:.80} for the role {role}.{advice}")
    if not found.digest:
        raise ReleaseError(
            f"The engine does not tell the digest of {name}, and a release holds exact versions. "
            "Use a model of an Ollama or of the embedded engine."
        )
    digest = _check.digest(found.digest)
    details = origins.details(name)
    source, how = origins.of(found.name, digest)
    if name in pulled and source in {"unknown", "pulled"}:
        source, how = "pulled", {"from": found.name}
    return Member(
        role=role, model=found.name, digest=digest, size=found.size,
        quantisation=found.quantization, parameter_size=found.parameter_size,
        context=_context(details), embedding=_dimensions(details), source=source, how=how,
        measured=measurements(digest),
    )  # fmt: skip


def _context(details: ModelDetails | None) -> int | None:
    """Tokens that the model is asked to look at by its own parameters, else what it was trained
    for."""
    for line in details.parameters.splitlines() if details else ():
        words = line.split()
        if len(words) == 2 and words[0] == "num_ctx" and words[1].isdecimal():
            return int(words[1])
    return details.context_length if details else None


def _dimensions(details: ModelDetails | None) -> int | None:
    if details is None or "embedding" not in details.capabilities:
        return None
    architecture = details.model_info.get("general.architecture", "")
    value = details.model_info.get(f"{architecture}.embedding_length")
    return int(value) if isinstance(value, int | float) else None
