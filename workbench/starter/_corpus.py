"""What the starter model reads: the sources of Python's own standard library, on this machine.

They are on every machine that has Python, they are free to use, and they are good prose as well
as good code: half of the functions explain themselves. Left out are tests, tables (encodings,
pydoc's topics), what `pip` installed, and tkinter and turtle: a thousand methods of one line that
call Tcl, which a small model takes for the way to write Python.

A twentieth of the files is held out, chosen by the hash of their text, so that the validation
loss is measured on text that was never seen, and on the same text in every run.
"""

from __future__ import annotations

import hashlib
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import TrainingError

_EXCLUDED = {
    "__phello__",
    "__pycache__",
    "dist-packages",
    "encodings",
    "idle_test",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "test",
    "tests",
    "tkinter",
    "turtle.py",
    "turtledemo",
}
_SHORTEST, _LONGEST = 200, 500_000  # characters; a longer file is a table
_HELD_OUT_SHARE = 20  # one file in so many


@dataclass(frozen=True, slots=True)
class Source:
    """One file: where it was found below the corpus's folder, and its text."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """Files to learn from and files to be examined on. `digest` names exactly this content."""

    training: tuple[Source, ...]
    held_out: tuple[Source, ...]
    digest: str  # SHA-256 over paths and texts

    @property
    def characters(self) -> int:
        """Characters to learn from."""
        return sum(len(source.text) for source in self.training)


def standard_library() -> Path:
    """The folder of the standard library's sources."""
    return Path(sysconfig.get_paths()["stdlib"])


def read_corpus(folder: Path | None = None, *, limit: int | None = None) -> Corpus:
    """Every Python file under `folder` (default: the standard library), each text once.

    `limit` takes only so many files, the first by the hash of their text: a mixed sample.
    Raises TrainingError when fewer than two files can be used.
    """
    folder = folder or standard_library()
    if not folder.is_dir():
        raise TrainingError(f"There is no folder {folder} to learn from. Give one with .py files.")
    found: dict[str, Source] = {}  # by hash: a text that comes twice counts once
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder)
        text = "" if _EXCLUDED.intersection(name.parts) else _read(path)
        if _SHORTEST <= len(text) <= _LONGEST:
            found.setdefault(_hash(text), Source(name.as_posix(), text))
    ordered = [found[key] for key in sorted(found)][:limit]
    if len(ordered) < 2:
        raise TrainingError(
            f"{folder} has {len(ordered)} Python files of at least {_SHORTEST} characters; at "
            "least 2 are needed, one to learn from and one to examine on."
        )
    count = max(1, len(ordered) // _HELD_OUT_SHARE)
    digest = _hash("".join(f"{_hash(source.text)}  {source.path}\n" for source in ordered))
    return Corpus(tuple(ordered[count:]), tuple(ordered[:count]), digest)


def _read(path: Path) -> str:
    """The file's text; "" for one that is no readable UTF-8 or is far too long."""
    try:
        if path.stat().st_size > 4 * _LONGEST:
            return ""
        return path.read_text("utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError):
        return ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
