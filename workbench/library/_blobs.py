"""Content-addressed files: `blobs/sha256-<hex>`, each the bytes that its name says.

A blob appears under its name only whole, checked and on the disk: it is written to a neighbour
`tmp-…`, hashed on the way, synced and renamed. So a kill at any moment leaves it before or
after. `sha256-<hex>-partial*` belong to downloads that can resume (see _pull).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import EngineError, InvalidRequest
from workbench.protocol import digest_of, parse_digest

TEMPORARY = "tmp-"
_HOUR = 3600.0


class Blobs:
    """The folder of blobs. Safe to use from many threads and processes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the blob of `digest` (`sha256:…` or `sha256-…`) is, or would be."""
        return self.folder / f"sha256-{parse_digest(digest)}"

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        """A new blob in the making; without `commit` nothing stays."""
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=self.folder)
        writer = BlobWriter(self, Path(name), handle)
        try:
            yield writer
        except OSError as error:
            raise EngineError(
                f"the models folder {self.folder.parent} cannot be written ({error.strerror}); "
                "free some space or set WORKBENCH_MODELS",
                500,
            ) from error
        finally:
            writer.close()

    def add(self, content: bytes | Path) -> str:
        """Store bytes, or a file of this file system that is moved; returns `sha256:<hex>`."""
        if isinstance(content, bytes):
            with self.writer() as writer:
                writer.write(content)
                return writer.commit()
        digest = digest_of(content)
        with content.open("rb+") as file:
            os.fsync(file.fileno())
        publish(content, self.path(digest))
        return digest

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A temporary folder on the blobs' file system, gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what killed writers left behind an hour ago or longer; partials stay."""
        for path in self.folder.glob(f"{TEMPORARY}*"):
            files = [path, *(path.rglob("*") if path.is_dir() else [])]
            try:
                newest = max(file.lstat().st_mtime for file in files)
            except OSError:
                continue  # its writer lives and has just renamed it
            if time.time() - newest > _HOUR:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


class BlobWriter:
    """Takes bytes, hashes them, and publishes them under their digest."""

    def __init__(self, blobs: Blobs, path: Path, handle: int) -> None:
        self._blobs, self._path = blobs, path
        self._file = os.fdopen(handle, "wb")
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)

    def commit(self, expected: str | None = None) -> str:
        """Publish; returns `sha256:<hex>`. Raises InvalidRequest when `expected` differs."""
        digest = f"sha256:{self._hash.hexdigest()}"
        if expected is not None and parse_digest(expected) != self._hash.hexdigest():
            raise InvalidRequest(f'digest mismatch, expected "{expected}", got "{digest}"', 400)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        publish(self._path, self._blobs.path(digest))
        return digest

    def close(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


def publish(temporary: Path, final: Path) -> None:
    """Rename a synced file to its final name, and sync the folder so that the name stays."""
    temporary.replace(final)
    if os.name == "posix":
        folder = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
