"""Files as the trash moves them: known again, moved, deleted; twice is as good as once."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath


def mark(path: Path) -> tuple[int, ...] | None:
    """By what a file or a folder is known again under another name; None where there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    folder = path.is_dir() and not path.is_symlink()
    return (status.st_ino,) if folder else (status.st_ino, status.st_mtime_ns)


def sound(place: object) -> bool:
    """Whether it is a path below a root, and none of the trash itself."""
    if not isinstance(place, str) or not place or "\x00" in place:
        return False
    if os.name == "nt" and set(place) & {"\\", ":"}:
        return False
    parts = PurePosixPath(place).parts
    return not place.startswith("/") and ".." not in parts and parts[:1] not in {(), ("trash",)}


def immovable(base: Path, place: str) -> str:
    """Why what is there cannot be moved within its root; "" where it can."""
    path = base / place
    try:
        if path.is_symlink() or not path.parent.resolve().is_relative_to(base.resolve()):
            return "it lies elsewhere, behind a link"
        elsewhere = path.lstat().st_dev != base.stat().st_dev
        return f"it is on another disk than {base}" if elsewhere else ""
    except OSError as error:
        return f"it cannot be looked at ({error.strerror})"


def rename(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)


def delete(path: Path) -> None:
    """A file or a tree, also one that another process deletes as well."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    with suppress(FileNotFoundError):
        shutil.rmtree(path)
    if path.exists():  # a file of it went under our hands
        shutil.rmtree(path)


def remove_empty(folder: Path) -> None:
    """Remove a tree of folders without files."""
    for path in [*sorted(folder.rglob("*"), reverse=True), folder]:
        with suppress(OSError):
            path.rmdir()
