"""Headers over HTTP ranges, from a real server on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from test_reader import make_vocabulary_file

from workbench.errors import GGUFError
from workbench.gguf import read_header


class Server(ThreadingHTTPServer):
    """Serves `data` at /model.gguf by ranges, and misbehaves at other paths."""

    daemon_threads = True
    data = b""
    sent = 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        data, path = self.server.data, self.path
        redirects = {
            "/moved": "/model.gguf",
            "/loop": "/loop",
            "/file": "file:///etc/passwd",
            "/ftp": "ftp://127.0.0.1/x",
        }
        if path in redirects:
            self.send_response(302)
            self.send_header("Location", redirects[path])
            self.end_headers()
            return
        if path == "/missing":
            self.send_error(404)
            return
        first, last = (int(part) for part in self.headers["Range"][6:].split("-"))
        last = min(last, len(data) - 1)
        body = data[first : last + 1]
        total = str(len(data))
        if path == "/whole":
            self.send_response(200)
            body = data
        else:
            self.send_response(206)
            if path == "/shifted":
                first += 1
            if path == "/liar":
                total = str(1 << 60)
            if path == "/growing":
                total = str(len(data) + first)
            if path == "/star":
                total = "*"
            self.send_header("Content-Range", f"bytes {first}-{last}/{total}")
        if path == "/short" and first > 0:
            body = body[:10]
        if path == "/more":
            body = body + bytes(1 << 21)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body if path != "/cut" else body[:100])
            self.server.sent += len(body)
        except ConnectionError:
            pass  # the reader went away, which is what it should do


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A header of 3 MB, so that several ranges are needed."""
    return make_vocabulary_file(tmp_path_factory.mktemp("http") / "m.gguf", 150_000)


@pytest.fixture
def server(file: Path) -> Iterator[Server]:
    serving = Server(("127.0.0.1", 0), Handler)
    serving.data = file.read_bytes() + bytes(20_000_000)  # weights that nobody should fetch
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    yield serving
    serving.shutdown()
    serving.server_close()


def url(server: Server, path: str) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}{path}"


@pytest.mark.parametrize("path", ["/model.gguf", "/moved"])
def test_only_the_header_is_fetched(path: str, server: Server, file: Path) -> None:
    remote, local = read_header(url(server, path)), read_header(file)
    assert remote.metadata == local.metadata
    assert remote.tensors == local.tensors
    assert remote.size == len(server.data)
    assert server.sent < local.data_offset + (1 << 21)


MISBEHAVIOURS = {
    "/whole": "ignores ranges",
    "/missing": "answered 404",
    "/shifted": "another range",
    "/star": "another range",
    "/growing": "changed while",
    "/short": "fewer bytes",
    "/more": "more bytes",
    "/cut": "cannot be read",
    "/loop": "redirects more than",
    "/file": "not an http",
    "/ftp": "not an http",
}


@pytest.mark.parametrize("path", MISBEHAVIOURS)
def test_a_misbehaving_server_is_an_error_in_words(path: str, server: Server) -> None:
    with pytest.raises(GGUFError, match=MISBEHAVIOURS[path]):
        read_header(url(server, path))


def test_a_server_that_lies_about_the_size(server: Server) -> None:
    """It changes nothing in what is read: the header itself is whole."""
    assert read_header(url(server, "/liar")).size == 1 << 60


@pytest.mark.parametrize(
    "address", ["ftp://x/y", "file:///etc/passwd", "http://", "http://[", "http://a b/"]
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(GGUFError, match="not an http"):
        read_header(address)


def test_nothing_listens() -> None:
    with pytest.raises(GGUFError, match="cannot be read"):
        read_header("http://127.0.0.1:9/model.gguf")
