"""The engine's side of a child: start it, talk HTTP with it over loopback, end it.

The talk is HTTP/1.1 written here over plain sockets, because the tokens of a small model come
every half millisecond: an HTTP library's objects per token would cost more than the model. The
same holds for waking up: after each read the stream rests for up to `_REST` seconds, so that
tokens which came meanwhile are read, translated and sent together. The first token is not
delayed, and no token by more than that.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil

from workbench.errors import EngineError, InvalidRequest

if TYPE_CHECKING:
    from workbench.embedded._measure import Watch

Event = dict[str, Any]
_REST = 0.008  # seconds between two reads of a stream, at most
_SHARE = 0.1  # and at most this share of its age, so that short answers do not wait


@dataclass(frozen=True, slots=True)
class Settings:
    """What a child is loaded with. Two requests share a child when these are equal."""

    model: str  # path of the GGUF file
    adapters: tuple[str, ...]
    chat_template: str  # Jinja that replaces the GGUF's own; "" = the GGUF's
    embedding: bool
    num_ctx: int  # tokens per slot
    parallel: int  # slots
    num_batch: int
    num_gpu: int
    main_gpu: int
    num_thread: int  # 0 is as many as are free when it is loaded
    use_mmap: bool
    cache_type: str
    flash_attention: bool | None
    prompt_cache_mib: int
    verbosity: int = field(default=1, compare=False)


class Runner:
    """One child process. `start` first; every method after that may raise EngineError."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.slots = asyncio.Semaphore(settings.parallel)
        self.watch: Watch | None = None  # what tells the ledger of this child
        self.gpu = False  # whether llama.cpp has found a card
        self._secret = secrets.token_hex(16)
        self._process: asyncio.subprocess.Process | None = None
        self._address = ("127.0.0.1", 0)

    async def start(self, timeout: float, threads: int) -> None:
        """Load the model to compute with `threads`.

        Raises EngineError when it cannot be loaded in `timeout` seconds.
        """
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "workbench.embedded._child",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        settings = asdict(self.settings) | {"secret": self._secret, "num_thread": threads}
        log_start = os.fstat(2).st_size
        try:
            process.stdin.write(json.dumps(settings).encode() + b"\n")
            line = await asyncio.wait_for(process.stdout.readline(), timeout)
            answer = json.loads(line) if line else {"error": "its process ended"}
        except BaseException as error:
            await self.stop()
            if not isinstance(error, TimeoutError):
                raise
            raise EngineError(
                f"the model did not load within {timeout:.0f} s; "
                "set OLLAMA_LOAD_TIMEOUT to wait longer",
                500,
            ) from None
        if "error" in answer:  # llama.cpp's words on it come when the child ends, by itself
            await asyncio.wait([asyncio.ensure_future(process.wait())], timeout=10)
            await self.stop()
            why = _reason(log_start) or f"{answer['error']} See the engine's log"
            raise EngineError(f"llama.cpp cannot load this model: {why}", 500)
        self.gpu = bool(answer["gpu"])
        url = urlsplit(answer["url"])
        self._address = (url.hostname or "127.0.0.1", url.port or 0)

    @property
    def pid(self) -> int:
        """The child's process id, 0 before it is started."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether the child runs. On a busy machine asyncio hears late that it does not."""
        running = self._process is not None and self._process.returncode is None
        return running and self.resident_bytes > 0

    @property
    def resident_bytes(self) -> int:
        """What the child holds in memory now; 0 when it has ended."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    async def stop(self) -> None:
        """End the child. Nothing in it is worth a goodbye, so it is killed."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def call(self, path: str, body: Event) -> Any:
        """One request, one JSON answer. Raises EngineError with the child's words."""
        connection = await self._request(path, body)
        try:
            content = bytearray()
            async for part in connection.parts():
                content += part
        except OSError as error:
            raise await self._broken() from error
        finally:
            connection.close()
        answer = json.loads(content)
        if connection.status != 200:
            raise _refusal(answer)
        return answer

    async def stream(self, path: str, body: Event) -> AsyncGenerator[list[Event], None]:
        """The events of a streamed answer, in the batches in which they came.

        Closing the generator closes the connection, at which llama.cpp stops generating.
        """
        connection = await self._request(path, {**body, "stream": True})
        try:
            if connection.status != 200:
                raise _refusal(json.loads(b"".join([part async for part in connection.parts()])))
            rest, loop = b"", asyncio.get_running_loop()
            begun = last = loop.time()
            async for part in connection.parts():
                *lines, rest = (rest + part).split(b"\n")
                events = [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]
                for event in events:
                    if "error" in event:
                        raise _refusal(event)
                if events:
                    yield events
                    if "timings" in events[-1]:
                        continue  # the last one
                now = loop.time()
                pause = min(_REST, _SHARE * (now - begun)) - (now - last)
                if pause > 0:
                    await asyncio.sleep(pause)
                last = loop.time()
        except OSError as error:
            raise await self._broken() from error
        finally:
            connection.close()

    async def _request(self, path: str, body: Event) -> _Connection:
        try:
            return await _Connection.open(self._address, path, self._secret, body)
        except OSError as error:
            raise await self._broken() from error

    async def _broken(self) -> EngineError:
        """The error of a connection that ended early, and why it did."""
        why = "it closed the connection"
        if self._process is not None:
            with suppress(TimeoutError):
                code = await asyncio.wait_for(self._process.wait(), 2)
                why = f"ended by signal {-code}" if code < 0 else f"ended with code {code}"
        return EngineError(
            f"the model's process broke off ({why}); send the request again, which loads it again",
            500,
        )


class _Connection:
    """One request over a socket of its own, and its answer as it comes."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._headers = b""
        self.status = 0

    @classmethod
    async def open(
        cls, address: tuple[str, int], path: str, secret: str, body: Event
    ) -> _Connection:
        content = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {address[0]}\r\nAuthorization: Bearer {secret}\r\n"
            "Content-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        self = cls(socket.socket())
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.sock_connect(self._socket, address)
            await self._loop.sock_sendall(self._socket, head.encode() + content)
            await self._read_head()
        except BaseException:
            self.close()
            raise
        return self

    async def _read_head(self) -> None:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            await self._fill()
        self._headers = bytes(self._buffer[:end]).lower()
        self.status = int(self._headers[9:12])
        del self._buffer[: end + 4]

    async def _fill(self) -> None:
        data = await self._loop.sock_recv(self._socket, 2**18)
        if not data:
            raise ConnectionResetError("the child closed the connection")
        self._buffer += data

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The body, without the framing of chunks, in as few parts as it came in."""
        if b"transfer-encoding: chunked" not in self._headers:
            length = int(self._headers.partition(b"content-length:")[2].split()[0])
            while len(self._buffer) < length:
                await self._fill()
            yield bytes(self._buffer[:length])
            return
        while True:
            part, ended = self._take_chunks()
            if part:
                yield part
            if ended:
                return
            await self._fill()

    def _take_chunks(self) -> tuple[bytes, bool]:
        """All whole chunks of the buffer, joined; and whether the last one was among them."""
        taken: list[bytes] = []
        at, buffer = 0, self._buffer
        while (line := buffer.find(b"\r\n", at)) >= 0:
            size = int(buffer[at:line], 16)
            start = line + 2
            if len(buffer) < start + size + 2:
                break
            at = start + size + 2
            if size == 0:
                return b"".join(taken), True
            taken.append(bytes(buffer[start : start + size]))
        del buffer[:at]
        return b"".join(taken), False

    def close(self) -> None:
        self._socket.close()


def _reason(log_start: int) -> str:
    """What llama.cpp wrote on a failed load; "" when standard error is no file of ours."""
    try:
        text = os.pread(2, 2**16, log_start).decode("utf-8", "replace")
    except OSError:
        return ""
    found = re.search(r"error loading model: (.{1,300})", text)
    if found is None and "chat template" in text:
        found = re.search(r"(?:^Error|_init: error): (.{1,300})", text, re.MULTILINE)
        return f"its chat template is broken ({found[1] if found else 'see the log'})"
    return found[1] if found else ""


def _refusal(answer: Event) -> EngineError:
    """The child's error as ours. Its 400s are the request's fault, the rest is the engine's."""
    error = answer.get("error", answer)
    message = str(error.get("message", error))
    code = error.get("code", 500)
    if code in {400, 501}:
        return InvalidRequest(message, 400)
    return EngineError(message, 500)
