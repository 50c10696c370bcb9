"""Checkpoints of a training: whole or not at all, at most the newest and the best.

    <training>/checkpoints/checkpoint-<step>/    what the Trainer writes
    <training>/checkpoints/checkpoint-<step>/whole.json    hashes and the curve, written last

A folder without `whole.json`, or with files that are not as it says, is what a kill left: it is
never read. Code is never loaded from any.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from workbench.work import writing

_log = logging.getLogger(__name__)
_MARK, _PREFIX = "whole.json", "checkpoint-"


def place(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step is, or would be."""
    return folder / f"{_PREFIX}{step}"


def seal(path: Path, facts: Mapping[str, Any]) -> None:
    """Force a checkpoint to the disk and mark it as whole. Raises TrainingError."""
    files = sorted(one for one in path.iterdir() if one.is_file() and one.name != _MARK)
    with writing(path):
        for file in files:
            _sync(file)
        mark = {"files": {file.name: _digest(file) for file in files}, "facts": dict(facts)}
        unfinished = path / f"{_MARK}.part"
        unfinished.write_text(json.dumps(mark), "utf-8")
        _sync(unfinished)
        unfinished.replace(path / _MARK)
        _sync(path)


def newest(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole checkpoint and its facts; None where there is none. Others are removed."""
    for path in sorted(folder.glob(f"{_PREFIX}*"), key=_step, reverse=True):
        facts = _whole(path)
        if facts is not None:
            return path, facts
        _log.warning("The checkpoint %s is not whole and is left out.", path)
        shutil.rmtree(path, ignore_errors=True)
    return None


def prune(folder: Path, kept: Collection[int]) -> None:
    """Remove all but the checkpoints of these steps."""
    for path in folder.glob(f"{_PREFIX}*"):
        if _step(path) not in kept:
            (path / _MARK).unlink(missing_ok=True)  # half removed, it must not be read
            shutil.rmtree(path, ignore_errors=True)


def _step(path: Path) -> int:
    text = path.name.removeprefix(_PREFIX)
    return int(text) if text.isascii() and text.isdigit() else -1


def _whole(path: Path) -> dict[str, Any] | None:
    try:
        mark = json.loads((path / _MARK).read_text("utf-8"))
        if all(_digest(path / name) == digest for name, digest in mark["files"].items()):
            return dict(mark["facts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Force a file, or on POSIX a folder's names, to the disk."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
