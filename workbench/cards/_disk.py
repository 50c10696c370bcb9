"""Models in folders: GGUF files (also in parts) and Hugging Face folders.

Nothing outside the folders that were asked for is looked at: a link that leads out is left, a
folder that links lead back to is entered once. What cannot be read becomes a problem in words,
and the rest is found all the same. A tree that is too large or too deep is cut, and that is said.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from workbench.cards._card import Card
from workbench.cards._describe import card_of, split_quantisation
from workbench.cards._hf_folder import folder_card
from workbench.errors import GGUFError, WorkbenchError
from workbench.gguf import Header, read_header

MOST_ENTRIES = 200_000  # of one folder that was asked for
MOST_MODELS = 5_000
DEEPEST = 12
_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.I)


def on_disk(folders: Iterable[Path | str]) -> tuple[tuple[Card, ...], tuple[str, ...]]:
    """The cards of all models in these folders (or single files), and what went wrong."""
    cards: dict[Path, Card] = {}
    problems: list[str] = []
    for folder in folders:
        try:
            walk = _Walk(Path(folder).expanduser().absolute(), problems)
        except (OSError, RuntimeError, ValueError):  # no such user, a circle of links, a NUL
            problems.append(f"{str(folder)!r:.300} is not a folder. Give one that holds models.")
            continue
        for files in walk.models():
            where = files[0].resolve()
            if where in cards:
                continue
            if len(cards) >= MOST_MODELS:
                problems.append(f"There are more than {MOST_MODELS} models; the rest was left.")
                return tuple(cards.values()), tuple(problems)
            try:
                card = folder_card(*files) if files[0].is_dir() else _file_card(files)
            except (WorkbenchError, OSError) as error:
                problems.append(_said(files[0], error))
            else:
                if card is not None:
                    cards[where] = card
    return tuple(cards.values()), tuple(problems)


class _Walk:
    """One folder that was asked for, entered with all its bounds."""

    def __init__(self, root: Path, problems: list[str]) -> None:
        self.root, self.problems = root, problems
        self._real = root.resolve()
        self._entered: set[tuple[int, int]] = set()
        self._left = MOST_ENTRIES

    def models(self) -> Iterator[Sequence[Path]]:
        """The files of each GGUF model; folder, configuration and weights of a Hugging Face one."""
        if self.root.is_file():
            yield from _grouped([self.root])
            return
        if not self.root.is_dir():
            self.problems.append(f"{self.root} is not a folder. Give one that holds models.")
            return
        waiting = [(self.root, 0)]
        while waiting:
            folder, depth = waiting.pop()
            files, folders = self._listed(folder)
            config = [file for file in files if file.name == "config.json"]
            weights = [file for file in files if file.suffix == ".safetensors"]
            if config and weights:
                yield [folder, *config, *weights]
            yield from _grouped([file for file in files if file.suffix.lower() == ".gguf"])
            if folders and depth >= DEEPEST:
                self.problems.append(f"{folder} is nested too deeply; what is below was left.")
            else:
                waiting += [(one, depth + 1) for one in reversed(folders)]

    def _listed(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """Files and folders in order of their names, links that lead out left out."""
        files: list[Path] = []
        folders: list[Path] = []
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in self._entered:
                return [], []
            self._entered.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._left -= 1
                    if self._left < 0:
                        break
                    if entry.is_symlink() and not self._inside(Path(entry.path)):
                        continue
                    if entry.is_dir():
                        folders.append(Path(entry.path))
                    elif entry.is_file():  # a pipe would be waited for
                        files.append(Path(entry.path))
        except OSError as error:
            self.problems.append(_said(folder, error))
        if self._left == -1:
            self.problems.append(f"{self.root} has more than {MOST_ENTRIES} entries; give less.")
        return sorted(files), sorted(folders)

    def _inside(self, link: Path) -> bool:
        try:
            return link.resolve(strict=True).is_relative_to(self._real)
        except (OSError, RuntimeError):  # it leads nowhere, or in a circle
            return False


def _grouped(files: Iterable[Path]) -> Iterator[list[Path]]:
    """Each model's files: one, or all its parts in order."""
    parts: dict[tuple[Path, str], list[Path]] = {}
    for file in files:
        match = _PART.fullmatch(file.name)
        if match is None:
            yield [file]
        else:
            parts.setdefault((file.parent, match[1] + match[3]), []).append(file)
    yield from (sorted(group) for group in parts.values())


def _file_card(files: Sequence[Path]) -> Card | None:
    """The card of a GGUF model; None for what is no model of its own (projectors, adapters)."""
    header = _whole(files)
    if header.architecture == "clip" or header.metadata.get("general.type") in {
        "adapter",
        "mmproj",
    }:
        return None
    part = _PART.fullmatch(files[0].name)
    name = part[1] if part else files[0].stem
    card = card_of(header, name, "disk", source="the file's header", path=files[0])
    return replace(card, family=split_quantisation(card.family)[0])


def _whole(files: Sequence[Path]) -> Header:
    """The header of a model, of all its parts together."""
    headers = [header_of(file) for file in files]
    part = _PART.fullmatch(files[0].name)
    if part and (len(files) != int(part[3]) or int(part[2]) != 1):
        raise GGUFError(
            f"{files[0]} is one of {int(part[3])} parts, of which {len(files)} are here."
        )
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    return replace(headers[0], tensors=tensors, size=sum(header.size for header in headers))


def header_of(path: Path) -> Header:
    """A file's header, remembered as long as the file is the same. Raises GGUFError."""
    try:
        status = path.stat()
    except OSError as error:
        raise GGUFError(f"{path} cannot be opened ({error.strerror}).") from error
    return _header(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1024)
def _header(path: Path, size: int, changed: int) -> Header:
    return read_header(path)


def _said(path: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{path} cannot be read ({error.strerror or error})."
    return str(error)
