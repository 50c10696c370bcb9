"""One blob's download: parts in parallel, resumable, checked before it gets its name.

The data go to `sha256-<hex>-partial`, a file of the full size; `…-partial-<n>` says in JSON how
far part n is (Ollama's own form: N, Offset, Size, Completed). Data are written before the
state that counts them, so what the state says is there is there after a kill. A file whose
digest is wrong is removed with all its state.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

from workbench.errors import EngineError
from workbench.library._blobs import TEMPORARY, Blobs, publish
from workbench.library._registry import PullLimits, Registry, Unavailable
from workbench.protocol import digest_of


@dataclass(slots=True)
class Part:
    """Bytes offset … offset + size, of which the first `completed` are on the disk."""

    number: int
    offset: int
    size: int
    completed: int = 0


class Download:
    """A blob on its way here, shared by all who wait for it; it closes `registry`."""

    def __init__(self, blobs: Blobs, registry: Registry, url: str, digest: str, size: int) -> None:
        self.digest, self.total = digest, size
        self.waiters = 0
        self.verifying = False
        self._blobs, self._registry, self._url = blobs, registry, url
        self._partial = blobs.path(digest).with_name(f"{blobs.path(digest).name}-partial")
        resumed = self._resumed()
        need = size - sum(part.completed for part in resumed or ())
        room = shutil.disk_usage(blobs.folder).free
        if need > room:  # before the plan, which grows with the size that a manifest claims
            raise EngineError(f"{need} bytes are needed and {room} are free; free some space", 500)
        self._parts = resumed or self._planned(registry.limits)
        self.task = asyncio.create_task(self._run())

    @property
    def completed(self) -> int:
        """Bytes that are on the disk."""
        return sum(part.completed for part in self._parts)

    async def _run(self) -> None:
        slots = asyncio.Semaphore(self._registry.limits.parts)
        try:
            with self._partial.open("ab") as file:
                file.truncate(self.total)
            async with self._registry, asyncio.TaskGroup() as group:
                for part in self._parts:
                    group.create_task(self._fetch(part, slots))
        except* EngineError as errors:
            failure: BaseException = errors.exceptions[0]
        except* OSError as errors:
            failure = EngineError(f"the download cannot be written: {errors.exceptions[0]}", 500)
        else:
            self.verifying = True
            await asyncio.to_thread(self._finish)
            return
        raise failure

    async def _fetch(self, part: Part, slots: asyncio.Semaphore) -> None:
        async def attempt() -> None:
            begin = part.offset + part.completed
            headers = {"range": f"bytes={begin}-{part.offset + part.size - 1}"}
            async with self._registry.stream(self._url, headers) as response:
                await self._receive(part, response, begin)
            if part.completed < part.size:
                raise Unavailable("the connection ended early")

        if part.completed < part.size:
            async with slots:
                await self._registry.patiently(attempt, lambda: part.completed)

    async def _receive(self, part: Part, response: httpx.Response, begin: int) -> None:
        """Write what comes; whatever happens, what has come is kept."""
        skip = begin if response.status_code == 200 else 0  # from a server without ranges
        buffer = bytearray()
        with self._partial.open("rb+") as file:
            file.seek(begin)
            try:
                async for piece in response.aiter_raw():
                    dropped = min(skip, len(piece))
                    skip -= dropped
                    buffer += piece[dropped:]
                    if len(buffer) >= self._registry.limits.piece:
                        self._store(file, part, buffer)
                    if part.completed + len(buffer) >= part.size:
                        break
            finally:
                self._store(file, part, buffer)

    def _store(self, file: BinaryIO, part: Part, buffer: bytearray) -> None:
        del buffer[part.size - part.completed :]  # more than was asked for
        file.write(buffer)
        file.flush()
        part.completed += len(buffer)
        buffer.clear()
        self._save(part)

    def _save(self, part: Part) -> None:
        state = {"N": part.number, "Offset": part.offset, "Size": part.size}
        temporary = self._blobs.folder / f"{TEMPORARY}{self._partial.name}-{part.number}"
        temporary.write_text(json.dumps(state | {"Completed": part.completed}))
        temporary.replace(f"{self._partial}-{part.number}")

    def _finish(self) -> None:
        """Check the digest and give the file its name. Raises EngineError when it differs."""
        found = digest_of(self._partial)
        if found == self.digest:
            with self._partial.open("rb+") as file:
                os.fsync(file.fileno())
            publish(self._partial, self._blobs.path(self.digest))
        for path in self._states():
            path.unlink(missing_ok=True)
        if found != self.digest:
            self._partial.unlink(missing_ok=True)
            raise EngineError(
                "digest mismatch, file must be downloaded again: "
                f"want {self.digest}, got {found}", 500
            )  # fmt: skip

    def _states(self) -> Iterator[Path]:
        return self._partial.parent.glob(f"{self._partial.name}-*")

    def _resumed(self) -> list[Part] | None:
        """The parts of an earlier try, when they make a whole."""
        parts = []
        try:
            for path in self._states():
                state = json.loads(path.read_bytes())
                numbers = [state[key] for key in ("N", "Offset", "Size", "Completed")]
                if not all(type(number) is int and number >= 0 for number in numbers):
                    return None
                parts.append(Part(*numbers))
            size = self._partial.stat().st_size
        except (OSError, ValueError, TypeError, KeyError):
            return None
        parts.sort(key=lambda part: part.number)
        ends = [part.offset + part.size for part in parts]
        whole = [0, *ends] == [*(part.offset for part in parts), self.total]
        sound = all(part.completed <= part.size and part.size for part in parts)
        return parts if whole and sound and size == self.total else None

    def _planned(self, limits: PullLimits) -> list[Part]:
        for path in self._states():
            path.unlink(missing_ok=True)
        size = min(max(self.total // limits.parts, limits.smallest), limits.largest)
        starts = range(0, self.total, size)
        parts = [Part(n, at, min(size, self.total - at)) for n, at in enumerate(starts)]
        for part in parts:
            self._save(part)
        return parts
