"""What the home holds beside models: trainings, datasets, collections, jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench import gather
from workbench.data import Dataset, datasets, history
from workbench.errors import GatherError
from workbench.lineage import Training
from workbench.storage._disk import measure
from workbench.storage._records import Item, Kind
from workbench.storage._uses import Uses, bare

_PARTS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("checkpoints", ("checkpoints", "checkpoint.pt", "reference.safetensors", "learnt.bin",
                     "held_out.bin", "model.part")),
    ("weights", ("model", "adapter")),
    ("gguf", ("gguf",)),
)  # fmt: skip
_MADE = (":build_starter", ":prepare")  # jobs in whose folders a model's weights are


def folders(place: Path) -> Iterator[Path]:
    """The folders in a folder, no links and nothing hidden."""
    with suppress(OSError):
        for path in sorted(place.iterdir()):
            if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
                yield path


def made(home: Path, kind: Kind, name: str, paths: Iterable[Path], **more: Any) -> Item:
    """An item of the home, measured. `at` and `why` tell its last use, else its files do."""
    paths = [path for path in paths if path.exists()]
    size = measure(paths)
    at, why = more.pop("at", None), more.pop("why", "")
    if size.at is not None and (at is None or at < size.at):
        at, why = size.at, "changed"
    places = tuple(("home", path.relative_to(home).as_posix()) for path in paths)
    return Item(
        kind, name, bytes=size.own, shared=size.shared, path=str(paths[0]) if paths else "",
        last_used=at, last_used_why=why, places=places, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def trainings(home: Path, uses: Uses, models: Sequence[Item]) -> Iterator[Item]:
    """Checkpoints, weights and GGUF files of each training; `models` may have come from them."""
    for folder in folders(home / "trainings"):
        run = uses.trainings.get(folder.name)
        if run is None:
            yield made(home, "training", folder.name, [folder], why="of no training that is known")
            continue
        for kind, parts in _PARTS:
            paths = [folder / part for part in parts if (folder / part).exists()]
            if paths:
                yield _part(home, run, kind, paths, uses, models)


def _part(
    home: Path, run: Training, kind: Kind, paths: list[Path], uses: Uses, models: Sequence[Item]
) -> Item:
    word = f"training:{run.id}"
    at, why = uses.last.get(word, (None, ""))
    needed = {"checkpoints": f"checkpoints:{run.id}", "weights": word}.get(kind, "")
    names = {run.id, run.name.lower(), run.name.lower().removesuffix(":latest")}
    return made(
        home, kind, f"{run.name}@{run.id}", paths, at=at, why=why, digest=run.id,
        needed_by=tuple(uses.needs.get(needed, ())), protected_by=uses.guarded([word], names),
        copies=_copies(run, models) if kind != "checkpoints" else (),
    )  # fmt: skip


def _copies(run: Training, models: Sequence[Item]) -> tuple[str, ...]:
    """Digests of the models that hold what a training learnt."""
    export = run.export or {}
    files = {f"sha256:{one.get('sha256')}" for one in (export.get("files") or {}).values()}
    made = {bare(str(one)) for one in (run.digest, *(export.get("also") or {}).values())}
    return tuple(one.digest for one in models if one.digest in made or files & set(one.blobs))


def data_folders(home: Path, uses: Uses) -> Iterator[Item]:
    """Datasets by their digest, and collections of documents."""
    rows: dict[str, Dataset] = {}
    for newest in datasets():
        for one in history(newest.name):
            rows.setdefault(one.digest, one)
    for folder in folders(home / "datasets"):
        word, row = f"dataset:{folder.name}", rows.get(folder.name)
        at, why = uses.last.get(word, (None, ""))
        label = row.label if row else folder.name[:8]
        names = {label.lower(), label.partition("@")[0].lower(), folder.name}
        yield made(
            home, "dataset", label, [folder], at=at, why=why, digest=folder.name,
            needed_by=tuple(uses.needs.get(word, ())), protected_by=uses.guarded([word], names),
        )  # fmt: skip
    for folder in folders(home / "collections"):
        word = f"collection:{folder.name}"
        at, why = uses.last.get(word, (None, ""))
        with suppress(GatherError):
            for source in gather.collection(folder.name).sources:
                gathered = source.at if source.at.tzinfo else source.at.replace(tzinfo=UTC)
                at, why = max((at or gathered, why), (gathered, "gathered"))
        yield made(
            home, "collection", folder.name, [folder], at=at, why=why,
            needed_by=tuple(uses.needs.get(word, ())),
            protected_by=uses.guarded([word], {folder.name.lower()}),
        )  # fmt: skip


def job_folders(home: Path, uses: Uses) -> Iterator[Item]:
    """Logs and results of jobs; a starter's job keeps the weights that trainings begin with."""
    for folder in folders(home / "jobs"):
        job = uses.jobs.get(folder.name)
        at, why = uses.last.get(f"job:{folder.name}", (None, ""))
        needs: list[str] = []
        if job is not None and job.state in {"failed", "cancelled", "interrupted"}:
            needs.append("the job can be resumed")
        if job is not None and job.target.endswith(_MADE):
            needs.append("trainings can begin with the weights in it")
        yield made(
            home, "job", folder.name, [folder], at=at, why=why or "of no job that is known",
            needed_by=tuple(needs), protected_by=uses.guarded([f"job:{folder.name}"], ()),
        )  # fmt: skip


def older(at: datetime | None, days: float, now: datetime) -> bool:
    """Whether it was used last so many days ago, or longer."""
    return at is not None and (now - at).total_seconds() >= days * 86_400
