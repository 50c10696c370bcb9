"""Which model a word stands for: a role of the release in use, or an alias."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, select

from workbench.errors import ReleaseError
from workbench.releases import _check
from workbench.releases._keep import current
from workbench.releases._records import Alias
from workbench.store import StoredAlias, session
from workbench.texts import nearest


def model(word: str) -> str:
    """The name of the model behind a role of the release in use ("primary") or an alias.

    Raises ReleaseError where it stands for none.
    """
    release = current()
    member = release.role(word) if release else None
    if member is not None:
        return member.model
    named = {one.alias: one.model for one in aliases()}
    if word in named:
        return named[word]
    known = [one.role for one in release.members] if release else []
    if not known and not named:
        raise ReleaseError(
            f"No model has the role {word!r:.80}: there is no release yet. Make one: "
            "`workbench versions release --primary MODEL`."
        )
    raise ReleaseError(
        f"No model has the role or alias {word!r:.80}.{nearest(word, [*known, *named])}"
    )


def set_alias(alias: str, model: str, digest: str) -> Alias:
    """Let `alias` stand for a model, whatever it stood for before. Raises ReleaseError."""
    alias, model, digest = _check.alias(alias), _check.model_name(model), _check.digest(digest)
    with session() as s:
        row = s.scalar(select(StoredAlias).where(StoredAlias.alias == alias).with_for_update())
        if row is None:
            row = StoredAlias(alias=alias)
            s.add(row)
        row.model, row.digest, row.at = model, digest, datetime.now(UTC)
        s.flush()
        return _record(row)


def aliases() -> list[Alias]:
    """All aliases by name."""
    with session(read_only=True) as s:
        return [_record(row) for row in s.scalars(select(StoredAlias).order_by(StoredAlias.alias))]


def remove_alias(alias: str) -> None:
    """Forget an alias; its model stays. Raises ReleaseError where there is none."""
    with session() as s:
        row = s.scalar(select(StoredAlias).where(StoredAlias.alias == alias))
        if row is None:
            known = s.scalars(select(StoredAlias.alias)).all()
            raise ReleaseError(f"There is no alias {alias!r:.80}.{nearest(alias, known)}")
        s.execute(delete(StoredAlias).where(StoredAlias.id == row.id))


def _record(row: StoredAlias) -> Alias:
    return Alias(row.alias, row.model, row.digest, row.at)
