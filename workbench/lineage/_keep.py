"""Trainings in the store: begun, noted, found, removed."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from sqlalchemy import delete, or_, select, update

from workbench.data import Dataset
from workbench.errors import TrainingError
from workbench.settings import home
from workbench.store import StoredTraining, clean, session

Recipe = Literal["base", "finetune", "preferences"]
RECIPES: tuple[Recipe, ...] = get_args(Recipe)
_SHORTEST = 4  # characters of an id that are enough to name it


@dataclass(frozen=True, slots=True)
class Training:
    """One training as it was when it was read. How far it is tells its job."""

    id: str
    recipe: Recipe
    name: str  # of the model that it is to make
    base: str  # the model it began with, as it was asked for; "" for none
    base_digest: str
    dataset: str  # digest
    dataset_name: str
    settings: Mapping[str, Any]
    price: Mapping[str, Any] | None = None  # predicted before the start
    measured: Mapping[str, Any] = field(default_factory=dict)  # seconds, memory, losses …
    export: Mapping[str, Any] | None = None  # files by kind, and the parity report
    digest: str = ""  # of the model in the engine; "" before it is there
    card: Mapping[str, Any] | None = None  # tuned against base
    job: str = ""
    created_at: datetime = datetime.min
    ended_at: datetime | None = None

    @property
    def folder(self) -> Path:
        """Where its checkpoints, weights and GGUF files are."""
        return home() / "trainings" / self.id

    @property
    def data(self) -> str:
        """The dataset as a person writes it: `name@` and the beginning of its digest."""
        return f"{self.dataset_name}@{self.dataset[:8]}"


def begin(
    recipe: Recipe,
    name: str,
    *,
    dataset: Dataset,
    settings: Mapping[str, Any],
    base: str = "",
    base_digest: str = "",
    price: Mapping[str, Any] | None = None,
) -> Training:
    """A new training, with its folder. Raises StoreError; OSError where no folder can be made."""
    row = StoredTraining(
        id=secrets.token_hex(5), job="", recipe=recipe, name=clean(name)[:256],
        base=clean(base), base_digest=base_digest[:80], dataset=dataset.digest,
        dataset_name=dataset.name, settings=clean(settings), price=clean(price), measured={},
        digest="", created_at=datetime.now(UTC),
    )  # fmt: skip
    run = _record(row)
    run.folder.mkdir(parents=True, mode=0o700)
    with session() as opened:
        opened.add(row)
    return run


def note(run: Training | str, **values: Any) -> Training:
    """Change what is known of a training: job, name, price, measured, export, digest, card,
    ended_at. What was measured is added to what had been. Raises TrainingError for an unknown one.
    """
    id = run if isinstance(run, str) else run.id
    kept = {k: v if k == "ended_at" else clean(v) for k, v in values.items()}
    with session() as opened:
        row = opened.scalar(select(StoredTraining).where(StoredTraining.id == id))
        if row is None:
            raise _unknown(id)
        if "measured" in kept:
            kept["measured"] = {**row.measured, **kept["measured"]}
        if kept:
            same = StoredTraining.number == row.number
            opened.execute(update(StoredTraining).where(same).values(**kept))
            opened.refresh(row)
        return _record(row)


def find(text: str) -> Training:
    """The training with this id or its beginning, or the newest that made a model of this name.
    Raises TrainingError."""
    wanted = text.strip()
    newest = select(StoredTraining).order_by(StoredTraining.number.desc()).limit(1)
    names = {wanted, f"{wanted}:latest", wanted.removesuffix(":latest")}
    tries = [StoredTraining.id == wanted, StoredTraining.name.in_(names)]
    if len(wanted) >= _SHORTEST:
        tries.append(StoredTraining.id.startswith(wanted, autoescape=True))
    with session(read_only=True) as opened:
        for condition in tries if wanted else ():
            row = opened.scalar(newest.where(condition))
            if row is not None:
                return _record(row)
    raise _unknown(wanted)


def made(digest: str) -> Training | None:
    """The newest training from which the model with this digest came, under its own name or one
    that was given to it later; None for another's."""
    bare = digest.removeprefix("sha256:")
    if not bare:
        return None
    either = or_(StoredTraining.digest == bare, StoredTraining.digest == f"sha256:{bare}")
    query = select(StoredTraining).where(either).order_by(StoredTraining.number.desc()).limit(1)
    with session(read_only=True) as opened:
        row = opened.scalar(query)
    return next(filter(partial(_also, bare), trainings()), None) if row is None else _record(row)


def _also(bare: str, run: Training) -> bool:
    """Whether the training's later models (`export["also"]`: name to digest) have this one."""
    others = (run.export or {}).get("also") or {}
    return any(digest.removeprefix("sha256:") == bare for digest in others.values())


def trainings(*, dataset: str = "", recipe: str = "", limit: int = 500) -> list[Training]:
    """All of them, the newest first; of one dataset (its digest), by one recipe."""
    query = select(StoredTraining).order_by(StoredTraining.number.desc()).limit(limit)
    if dataset:
        query = query.where(StoredTraining.dataset == dataset)
    if recipe:
        query = query.where(StoredTraining.recipe == recipe)
    with session(read_only=True) as opened:
        return [_record(row) for row in opened.scalars(query)]


def remove(run: Training) -> None:
    """Forget a training and delete its files; the model in the engine stays."""
    with session() as opened:
        opened.execute(delete(StoredTraining).where(StoredTraining.id == run.id))
    shutil.rmtree(run.folder, ignore_errors=True)


def _unknown(text: str) -> TrainingError:
    return TrainingError(
        f"There is no training {text!r}. Give its id or the name of the model it made; "
        "`workbench train list` shows all."
    )


def _record(row: StoredTraining) -> Training:
    names = Training.__dataclass_fields__
    return Training(**{name: getattr(row, name) for name in names})
