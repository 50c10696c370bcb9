"""A real HTTP server on loopback that says exactly the bytes of a script, cut where it says.

Each request takes the next answer of the script (the last one again when there is no more).
An answer is a function that gets the exchange: what was asked, and the socket to speak on.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Exchange:
    """One request, and the connection that it came on."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    socket: socket.socket = field(repr=False)
    gone: threading.Event = field(default_factory=threading.Event, repr=False)

    def json(self) -> Any:
        return json.loads(self.body)

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def reset(self) -> None:
        """End the connection with RST instead of a proper end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait_until_gone(self, seconds: float = 20) -> None:
        """Until the client closes the connection."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        self.gone.set()


Answer = Callable[[Exchange], None]


class ScriptedServer:
    def __init__(self) -> None:
        self.asked: list[Exchange] = []
        self._script: list[Answer] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def says(self, *answers: Answer) -> None:
        self._script = list(answers)

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while (exchange := _read(connection)) is not None:
                    with self._lock:
                        self.asked.append(exchange)
                        more = len(self._script) > 1
                        answer = self._script.pop(0) if more else self._script[0]
                    answer(exchange)
                    if connection.fileno() < 0:
                        return
            except (ConnectionError, OSError):
                return


def _read(connection: socket.socket) -> Exchange | None:
    file = connection.makefile("rb")
    line = file.readline()
    if not line.strip():
        return None
    method, path, _ = line.decode().split()
    headers = {}
    while (line := file.readline().decode().strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = b""
    if "chunked" in headers.get("transfer-encoding", ""):
        while size := int(file.readline(), 16):
            body += file.read(size)
            file.readline()
        file.readline()
    else:
        body = file.read(int(headers.get("content-length", 0)))
    return Exchange(method, path, headers, body, connection)


def lines(*objects: Any) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in objects)


def answer(
    body: bytes | Any = b"",
    status: str = "200 OK",
    headers: Iterable[str] = (),
    kind: str = "application/json",
) -> Answer:
    """A whole answer with its length."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def say(exchange: Exchange) -> None:
        head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(data)}"]
        text = "\r\n".join([*head, *headers, "", ""])
        exchange.send(text.encode() + (b"" if exchange.method == "HEAD" else data))

    return say


def chunked(
    *pieces: bytes, end: bool = True, pause: float = 0, kind: str = "application/x-ndjson"
) -> Answer:
    """An answer in chunks, cut as the pieces are; without `end` the connection breaks."""

    def say(exchange: Exchange) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
        exchange.send(head.encode())
        for piece in pieces:
            exchange.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            time.sleep(pause)
        if end:
            exchange.send(b"0\r\n\r\n")
        else:
            exchange.socket.shutdown(socket.SHUT_RDWR)
            exchange.socket.close()

    return say


def then_silence(*pieces: bytes) -> Answer:
    """Begins an answer, and waits until the client goes away."""

    def say(exchange: Exchange) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        exchange.send(head, *(f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in pieces))
        exchange.wait_until_gone()

    return say


def then_closed(data: bytes) -> Answer:
    """These bytes and nothing more."""

    def say(exchange: Exchange) -> None:
        exchange.send(data)
        exchange.socket.shutdown(socket.SHUT_RDWR)
        exchange.socket.close()

    return say


def reset(exchange: Exchange) -> None:
    exchange.reset()


def silence(exchange: Exchange) -> None:
    exchange.wait_until_gone()
