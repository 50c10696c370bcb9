"""Files and folders of this machine.

Files are taken in the order of their paths. Hidden folders and those of libraries are left out,
links are never followed, and only regular files are opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, get_args

from workbench.documents import (
    LICENCE_BYTES,
    MAX_BYTES,
    Ask,
    Document,
    Extractor,
    Item,
    Kind,
    Skipped,
    Unreadable,
    chosen,
    decode,
    is_licence,
    left_out,
    licence_of,
    wanted,
)
from workbench.errors import GatherError
from workbench.texts import nearest

_BUFFER = 1 << 20  # bytes: with Python's own 8 kB, passing over a line of 2 GB takes far longer


def files(ask: Ask) -> Iterator[Document | Skipped]:
    """The texts of a file or of all files below a folder.

    Options: `include` and `exclude` (patterns over path or name), `kinds`, `languages` (of code;
    without kinds, code alone) and `max_bytes` (of a file that is read as a whole, default 64 MB).
    Raises GatherError where there is nothing of this name, or nothing in it.
    """
    options = chosen(ask, include=(), exclude=(), kinds=(), languages=(), max_bytes=MAX_BYTES)
    check_kinds(options.kinds)
    root = Path(ask.address).absolute()
    if not os.path.exists(root):  # noqa: PTH110 (no error for a name that is too long)
        raise GatherError(f"There is no file or folder {name_of(root)}.")
    licence = ask.facts["licence"] = _licence(root) if root.is_dir() else ""
    found = partial(walk, root, options.include, options.exclude)
    total = sum(one.size for one in found() if isinstance(one, Item))
    nothing = True
    with Extractor(
        ask, total, kinds=options.kinds, languages=options.languages,
        max_bytes=options.max_bytes, licence=licence,
    ) as extractor:  # fmt: skip
        for one in found():
            nothing = False
            if isinstance(one, Skipped):
                yield one
            else:
                yield from extractor.documents(one)
    if nothing:
        raise GatherError(f"{name_of(root)} holds no files that `include` and `exclude` let in.")


def check_kinds(kinds: tuple[str, ...]) -> None:
    """Raise GatherError where one of them is no kind of document."""
    for kind in kinds:
        if kind not in get_args(Kind):
            raise GatherError(f"There is no kind {kind!r}.{nearest(kind, get_args(Kind))}")


def name_of(path: Path | str) -> str:
    """A path as text, whatever bytes it has."""
    return os.fsencode(path).decode("utf-8", "replace")


def walk(
    root: Path, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()
) -> Iterator[Item | Skipped]:
    """The regular files below a folder in the order of their paths, or the one file; what is none
    is Skipped."""
    if not root.is_dir():
        yield _item(root, root.name)
        return
    inside, start = root.resolve(), len(str(root).rstrip("/")) + 1
    stack = _listed(str(root))
    while stack:
        entry = stack.pop()
        path, relative = Path(entry.path), name_of(entry.path[start:])
        if entry.is_dir(follow_symlinks=False):
            try:
                stack += [] if left_out(entry.name) else _listed(entry.path)
            except OSError as error:
                yield Skipped(name_of(path), f"{relative} cannot be read ({error.strerror}).")
        elif not entry.name.startswith(".") and wanted(relative, include, exclude):
            yield _link(path, relative, inside) if entry.is_symlink() else _item(path, relative)


def _listed(folder: str) -> list[os.DirEntry[str]]:
    """What is in a folder, the last first; a folder's place is that of the paths below it."""
    with os.scandir(folder) as found:
        return sorted(found, key=lambda one: one.name + "/" * one.is_dir(follow_symlinks=False),
                      reverse=True)  # fmt: skip


def _link(path: Path, relative: str, inside: Path) -> Skipped:
    try:
        within = path.resolve(strict=True).is_relative_to(inside)
        words = "within this folder" if within else "out of the folder"
    except (OSError, RuntimeError):
        words = "to nothing, or in a circle"
    return Skipped(name_of(path), f"{relative} is a link {words}: links are not followed.")


def _item(path: Path, relative: str) -> Item | Skipped:
    try:
        found = path.stat()
    except OSError as error:
        return Skipped(name_of(path), f"{relative} cannot be read ({error.strerror}).")
    if not stat.S_ISREG(found.st_mode):
        return Skipped(name_of(path), f"{relative} is no regular file (a pipe, a device).")
    return Item(name_of(path), name_of(relative), found.st_size, partial(_open, path))


def _open(path: Path) -> BinaryIO:
    """Open, and look again: the file may have become another thing since it was listed."""
    file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb", _BUFFER)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise Unreadable("is no regular file any more")
    return file


def _licence(root: Path) -> str:
    for path in sorted(root.iterdir()):
        if is_licence(path.name) and path.is_file() and not path.is_symlink():
            try:
                with _open(path) as file:
                    text, _ = decode(file.read(LICENCE_BYTES))
                return licence_of(text, name_of(path.name))
            except (OSError, Unreadable):
                continue
    return ""
