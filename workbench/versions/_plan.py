"""What an update is going to do, checked: all that can be refused is refused before it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import releases
from workbench.errors import BenchError, ReleaseError, TaskError
from workbench.protocol import ModelName
from workbench.texts import nearest
from workbench.vectors import dependents
from workbench.versions._records import GATES, Change
from workbench.versions._shelf import Shelf, key, lasting, opened
from workbench.versions._suite import fitting
from workbench.versions._words import step_words

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.releases import Release
    from workbench.types import ModelDetails

_MOST_PROMPTS, _LONGEST_PROMPT = 20, 4000


def plan(
    roles: Mapping[str, str],
    *,
    suite: str = "",
    limit: int | None = None,
    seed: int = 0,
    gate: str = "not worse",
    reason: str = "",
    purpose: str = "",
    notes: str = "",
    version: str = "",
    file: Path | str | None = None,
    engine: Engine | str | None = None,
    smoke: Sequence[str] | None = None,
) -> dict[str, Any]:
    """What `start` would do with the same arguments; `steps` of it says it in words.

    `roles` are the roles that get another model; the others are taken over from the release in
    use. `suite`, `limit`, `seed` say what both models are asked; `gate` what must come out: "not
    worse" for certain, "better" for certain, "none". `version` "" is the next one. `file` is where
    the history of releases is written at the end, `smoke` what is asked to see that it answers.

    Raises ReleaseError for what cannot be done or changes nothing, EngineError.
    """
    chosen = _chosen(suite, limit, seed, gate, version, file, smoke)
    for role in roles:
        releases.check_role(role)
    used = releases.current()
    with opened(engine) as asked:
        shelf = Shelf(asked)
        wanted = [_change(asked, shelf, used, *pair) for pair in roles.items()]
        changes = [one for one in wanted if one is not None]
        if not changes:
            raise ReleaseError(_nothing(roles, used))
        kept = _kept(shelf, used, changes)
        for change in changes:
            _check_measurable(shelf, change, chosen)
        address = None if engine is None else lasting(asked)
    texts = {"reason": reason, "purpose": purpose, "notes": notes}
    moved = [one for one in changes if _moves_vectors(one)]
    names = sorted({name for one in moved for name in dependents(one.before_digest)})
    made: dict[str, Any] = {
        "before": used.version if used else "", "changes": [asdict(one) for one in changes],
        "roles": {one.role: one.model for one in changes}, "kept": kept, "collections": names,
        "engine": address, **chosen, **texts,
    }  # fmt: skip
    return {**made, "steps": step_words(made, changes)}


def _chosen(
    suite: str, limit: int | None, seed: int, gate: str, version: str, file: Path | str | None,
    smoke: Sequence[str] | None,
) -> dict[str, Any]:  # fmt: skip
    """What is the same whatever the roles are."""
    if gate not in GATES:
        raise ReleaseError(f"A gate is {', '.join(map(repr, GATES))}, not {gate!r:.40}.")
    named = releases.check_version(version) if version else releases.next_version()
    if any(one.version == named for one in releases.history()):
        raise ReleaseError(f"There is a release {named} already. Give another version, or none.")
    return {
        "suite": _suite(suite, limit, seed), "limit": limit, "seed": seed, "gate": gate,
        "version": named, "file": _file(file), "smoke": _prompts(smoke),
    }  # fmt: skip


def _suite(name: str, limit: int | None, seed: int) -> str:
    """The suite as a job finds it, wherever it works."""
    if not name:
        return ""
    from workbench.bench import plans_of
    from workbench.tasks import find_any

    path = Path(name).expanduser()
    given = str(path.resolve()) if path.suffix in {".yaml", ".yml"} or "/" in name else name
    try:
        find_any(given)
        plans_of(["any"], [given], limit=limit, seed=seed)
    except (TaskError, BenchError) as error:
        raise ReleaseError(f"The models cannot be measured so: {error}") from None
    return given


def _file(given: Path | str | None) -> str:
    """Where the history is written. A file that cannot be written there is told before."""
    if not given:
        return ""
    path = Path(given).expanduser().resolve()
    path = path / releases.FILE if path.is_dir() else path
    if not path.parent.is_dir():
        raise ReleaseError(f"There is no folder {path.parent}. Make it, or name another file.")
    known = {one.version for one in releases.history()}
    there = releases.read_file(path).releases if path.exists() else ()
    other = next((one.version for one in there if one.version not in known), None)
    if other is not None:
        raise ReleaseError(
            f"{path.name} holds the release {other}, which is not known here. Import it first: "
            f"`workbench versions import {path.name}`."
        )
    return str(path)


def _prompts(given: Sequence[str] | None) -> list[str]:
    texts = given.splitlines() if isinstance(given, str) else [*(given or ())]
    if any(not isinstance(one, str) or len(one) > _LONGEST_PROMPT for one in texts):
        raise ReleaseError(f"A prompt to try is a text of at most {_LONGEST_PROMPT} characters.")
    kept = [one for one in texts if one.strip()]
    if len(kept) > _MOST_PROMPTS:
        raise ReleaseError(f"At most {_MOST_PROMPTS} prompts are tried, not {len(kept)}.")
    return kept


def _change(
    engine: Engine, shelf: Shelf, used: Release | None, role: str, model: str
) -> Change | None:
    """What changes for a role; None where nothing does."""
    found, before = shelf.find(str(model)), used.role(role) if used else None
    name = found.name if found else ModelName.parse(model).display()
    digest = shelf.digest(name)
    if found is None and not _pullable(name):
        near = nearest(model, shelf.short_names)
        raise ReleaseError(
            f"The engine has no model {model!r:.80} for the role {role}, and nobody knows where to "
            f"pull it from.{near} Get it first: `workbench models pull`."
        )
    if found is not None and not digest:
        raise ReleaseError(
            f"The engine does not tell the digest of {name}, and a release holds exact versions. "
            "Use a model of an Ollama or of the embedded engine."
        )
    if before is not None and (key(before.model), before.digest) == (key(name), digest):
        return None
    if found is not None:
        check_fits(role, engine.show(name))
    return Change(
        role, name, digest, found is None, role == "embedding",
        before.model if before else "", before.digest if before else "",
    )  # fmt: skip


def check_fits(role: str, details: ModelDetails) -> None:
    """Raise ReleaseError for a model that cannot do what its role wants, as far as it is told."""
    can, wanted = details.capabilities, "embedding" if role == "embedding" else "completion"
    if can and wanted not in can:
        what = "makes no vectors" if role == "embedding" else "writes no text"
        raise ReleaseError(f"{details.name} {what}, so it cannot have the role {role}.")


def _pullable(name: str) -> bool:
    """Whether it has a registry's address or an owner, or the catalogue has it."""
    from workbench.cards import shipped

    parsed, usual = ModelName.parse(name), ModelName.parse("any")
    if (parsed.host.lower(), parsed.namespace.lower()) != (usual.host, usual.namespace):
        return True
    cards = shipped()
    named = (text for card in cards for text in (card.name, *card.aliases))
    variants = (one.name for card in cards for one in card.variants if one.name)
    return parsed.key() in {ModelName.parse(text).key() for text in (*named, *variants)}


def _nothing(roles: Mapping[str, str], used: Release | None) -> str:
    if not roles:
        return "Say which role gets which model, such as primary=starter."
    return (
        f"Nothing changes: {', '.join(roles)} of {used.version if used else 'no release'} has this "
        "very model. Give another model, or another version of it."
    )


def _kept(shelf: Shelf, used: Release | None, changes: Sequence[Change]) -> list[str]:
    """The roles that are taken over, whose models must be here as they were."""
    named = {one.role for one in changes}
    members = [one for one in used.members if one.role not in named] if used else []
    for one in shelf.lacking(members):
        raise ReleaseError(
            f"{one.model}, the {one.role} model of {used.version if used else ''}, is not here "
            f"with its digest ({one.digest[:12]}). Bring it back: `workbench versions sync`, or "
            f"give {one.role} a model as well."
        )
    return [one.role for one in members]


def _check_measurable(shelf: Shelf, change: Change, chosen: Mapping[str, Any]) -> None:
    """Raise ReleaseError where the gate needs a suite, or a model that nobody can ask any more."""
    asked = change.embedding or chosen["suite"]
    if chosen["gate"] == "better" and not asked:
        raise ReleaseError("To see that a model is better it must be measured: name a suite.")
    if chosen["gate"] == "none" or not change.before_digest or not asked or change.same_version:
        return
    if shelf.having(change.before_digest):
        return
    if not change.embedding and fitting(change.before_digest, chosen) is not None:
        return
    raise ReleaseError(
        f"{change.before_model}, which has the role {change.role} now, is not here with its digest "
        f"({change.before_digest[:12]}), so nothing can be compared with it. Bring it back "
        "(`workbench versions sync`), or go without: gate none."
    )


def _moves_vectors(change: Change) -> bool:
    return change.embedding and bool(change.before_digest) and not change.same_version
