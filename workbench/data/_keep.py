"""Datasets on the disk and in the store.

    <home>/datasets/<digest>/<split>.jsonl    an example a line; never changed
    <home>/datasets/<digest>/dataset.json     the recipe and the report, for whoever finds it
    <home>/datasets/.new-…                    what is being written

A row in the store gives a name to a digest; names have a history. The folder is there before its
row, so a kill leaves a folder too many, never a name without its examples.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any, BinaryIO

from sqlalchemy import delete, func, select, update

from workbench.data._records import Dataset
from workbench.errors import DataError
from workbench.examples import Example, Form
from workbench.settings import home
from workbench.store import StoredDataset, clean, session
from workbench.texts import nearest

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SPLIT = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_BLOCK = 1 << 20


@dataclass
class Draft:
    """A dataset while it is written. Set `report` before the `with` ends."""

    folder: Path
    form: Form
    report: dict[str, Any] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    characters: int = 0
    dataset: Dataset | None = None  # there when the `with` has ended
    _open: dict[str, BinaryIO] = field(default_factory=dict)
    _learnt: dict[str, Any] = field(default_factory=dict)
    _written: dict[str, Any] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def made(self) -> Dataset:
        """The dataset, when the `with` has ended."""
        assert self.dataset is not None, "the draft was written to its end"
        return self.dataset

    def add(self, example: Example, split: str = "train") -> None:
        """Put an example at the end of a split. Raises DataError for another form.

        Half characters, which UTF-8 cannot write, become "?" before anything is hashed.
        """
        if example.form != self.form:
            raise DataError(f"A dataset has one form: this is {self.form}, not {example.form}.")
        if split not in self._open:
            self._begin(split)
        text = json.dumps(example.row(), ensure_ascii=False) + "\n"
        line = text.encode("utf-8", "replace")
        if line != text.encode("utf-8", "surrogatepass"):
            example = Example.of(self.form, json.loads(line))
        self._open[split].write(line)
        self._written[split].update(line)
        learnt = example.canonical()
        self._learnt[split].update(len(learnt).to_bytes(8, "big") + learnt)
        self.splits[split] += 1
        self.characters += _characters(example.fields)

    def _begin(self, split: str) -> None:
        if not _SPLIT.fullmatch(split):
            raise DataError(f"{split!r} cannot name a split. Use small letters, such as 'train'.")
        self._open[split] = self._stack.enter_context((self.folder / f"{split}.jsonl").open("wb"))
        self._learnt[split], self._written[split] = hashlib.sha256(), hashlib.sha256()
        self.splits[split] = 0

    def _end(self) -> tuple[str, dict[str, str]]:
        """The dataset's digest and those of its files."""
        self._stack.close()
        parts = {split: digest.hexdigest() for split, digest in self._learnt.items()}
        whole = json.dumps([self.form, parts], sort_keys=True)
        files = {f"{split}.jsonl": done.hexdigest() for split, done in self._written.items()}
        return hashlib.sha256(whole.encode()).hexdigest(), files


def checked_name(name: str) -> str:
    """The name, where a dataset can have it. Raises DataError."""
    if not _NAME.fullmatch(name):
        raise DataError(
            f"{name!r} cannot name a dataset. Use up to 64 small letters, digits, '.', '_' and "
            "'-', a letter or digit first."
        )
    return name


@contextmanager
def writing(
    name: str, form: Form, *, recipe: Mapping[str, Any], parent: str = ""
) -> Iterator[Draft]:
    """Write a new version of the dataset `name`; it is there when the `with` ends without error.

    Raises DataError for a bad name and for a dataset without examples.
    """
    checked_name(name)
    place = home() / "datasets"
    place.mkdir(parents=True, exist_ok=True)
    _sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=place))
    draft = Draft(folder, form)
    try:
        with draft._stack:
            yield draft
            if not sum(draft.splits.values()):
                raise DataError(
                    "No example is left, so there is no dataset. See what was dropped and why in "
                    "the report, and ask for less."
                )
            digest, files = draft._end()
        draft.dataset = _publish(name, draft, digest, files, dict(recipe), parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(place: Path) -> None:
    """Delete what killed writers left, when nothing in it has changed for a day."""
    for folder in place.glob(".new-*"):
        with suppress(OSError):
            if max(one.stat().st_mtime for one in (folder, *folder.iterdir())) < time() - 86_400:
                shutil.rmtree(folder)


def _publish(
    name: str,
    draft: Draft,
    digest: str,
    files: Mapping[str, str],
    recipe: dict[str, Any],
    parent: str,
) -> Dataset:
    at = datetime.now(UTC)
    final = draft.folder.parent / digest
    kept = _kept(final)
    files = kept or files
    dataset = Dataset(name, digest, draft.form, draft.splits, draft.characters, recipe,
                      draft.report, parent, files, at, final)  # fmt: skip
    facts = clean({**asdict(dataset), "created_at": at.isoformat(), "folder": ""})
    text = json.dumps(facts, ensure_ascii=False, indent=1)
    (draft.folder / "dataset.json").write_text(text, "utf-8")
    if not kept:
        shutil.rmtree(final, ignore_errors=True)  # damaged
        draft.folder.chmod(0o755)
        draft.folder.rename(final)
    columns = {
        key: facts[key] for key in ("form", "splits", "characters", "recipe", "report", "files")
    }
    same = (StoredDataset.name == name, StoredDataset.digest == digest)
    with session() as opened:  # made again, it is the newest of its name
        opened.execute(delete(StoredDataset).where(*same))
        others = update(StoredDataset).where(StoredDataset.digest == digest)
        opened.execute(others.values(files=columns["files"]))
        opened.add(StoredDataset(name=name, digest=digest, parent=parent, created_at=at, **columns))
    return dataset


def _kept(folder: Path) -> dict[str, str]:
    """The files of a dataset that is there and whole; what is learnt is equal, `about` may differ
    and stays as it was written first. Empty where it is not there or damaged."""
    try:
        files: dict[str, str] = json.loads((folder / "dataset.json").read_text("utf-8"))["files"]
        return {} if _wrong(folder, files) else files
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def datasets() -> list[Dataset]:
    """The newest version of each name, the newest first."""
    newest = select(func.max(StoredDataset.number)).group_by(StoredDataset.name)
    query = select(StoredDataset).where(StoredDataset.number.in_(newest))
    with session(read_only=True) as opened:
        rows = opened.scalars(query.order_by(StoredDataset.number.desc())).all()
        return [_dataset(row) for row in rows]


def history(name: str) -> list[Dataset]:
    """All versions of a name, the newest first."""
    query = select(StoredDataset).where(StoredDataset.name == name)
    with session(read_only=True) as opened:
        rows = opened.scalars(query.order_by(StoredDataset.number.desc())).all()
        return [_dataset(row) for row in rows]


def find(label: str) -> Dataset:
    """By name (its newest version), `name@digest` or digest; of a digest its beginning is enough.

    Raises DataError where there is none, several, or its files are gone.
    """
    found = _named(label)
    if not found.folder.is_dir():
        raise DataError(
            f"The files of {found.label} are not on this machine ({found.folder}). Copy the "
            "folder here, or make the dataset again from its recipe."
        )
    return found


def _named(label: str) -> Dataset:
    """As `find`, whether its files are there or not."""
    name, _, start = label.partition("@")
    query = select(StoredDataset).order_by(StoredDataset.number.desc())
    with session(read_only=True) as opened:
        rows = [_dataset(row) for row in opened.scalars(query)]
    named = [one for one in rows if one.name == name and one.digest.startswith(start)]
    if not named and not start and re.fullmatch(r"[0-9a-f]{6,64}", name):
        named = [one for one in rows if one.digest.startswith(name)]
        start = name
    if not named:
        raise DataError(f"There is no dataset {label!r}.{nearest(name, {r.name for r in rows})}")
    if start and len({one.digest for one in named}) > 1:
        found = ", ".join(one.label for one in named[:5])
        raise DataError(f"{label!r} could be several datasets: {found}. Write more of the digest.")
    return named[0]


def examples(dataset: Dataset, split: str | None = None) -> Iterator[Example]:
    """The examples of one split or of all. Raises DataError where a line is damaged."""
    for name in [split] if split else dataset.splits:
        if name not in dataset.splits:
            raise DataError(
                f"{dataset.label} has no split {name!r}.{nearest(name, dataset.splits)}"
            )
        path = dataset.path(name)
        if not path.is_file():
            raise DataError("This file of the dataset is missing.", str(path))
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield Example.of(dataset.form, json.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    raise DataError("This line is damaged.", str(path), number) from None


def verify(dataset: Dataset) -> list[str]:
    """What is wrong with the files, a sentence each; empty where all are as they were made."""
    return _wrong(dataset.folder, dataset.files)


def _wrong(folder: Path, files: Mapping[str, str]) -> list[str]:
    wrong = []
    for name, wanted in files.items():
        path, digest = folder / name, hashlib.sha256()
        if not path.is_file():
            wrong.append(f"{path} is missing.")
            continue
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        if digest.hexdigest() != wanted:
            wrong.append(f"{path} was changed: its SHA-256 is not the one it was made with.")
    return wrong


def remove(label: str) -> None:
    """Take a version out of its name; the files go when no other name has them."""
    found = _named(label)
    same = StoredDataset.digest == found.digest
    with session() as opened:
        opened.execute(delete(StoredDataset).where(same, StoredDataset.name == found.name))
        left = opened.scalar(select(func.count()).select_from(StoredDataset).where(same))
    if not left:
        shutil.rmtree(found.folder, ignore_errors=True)


def _dataset(row: StoredDataset) -> Dataset:
    names = [name for name in Dataset.__dataclass_fields__ if name != "folder"]
    values = {name: getattr(row, name) for name in names}
    return Dataset(**values, folder=home() / "datasets" / row.digest)


def _characters(value: Any) -> int:
    """Of all texts in an example's fields."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_characters, value.values()))
    return sum(map(_characters, value)) if isinstance(value, list | tuple) else 0
