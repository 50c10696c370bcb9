"""A real site on loopback whose pages are told by a test."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Route = str | bytes | tuple[int, dict[str, str], str | bytes] | Callable[..., Any]


def page(title: str, *links: str, text: str = "") -> str:
    """A page of documentation with links below it."""
    anchors = "".join(f'<li><a href="{one}">{one}</a></li>' for one in links)
    words = text or f"What is said about {title} is said here in some words, and in no others."
    return (
        f"<!DOCTYPE html><html lang='en'><head><title>{title}</title></head><body>"
        f"<nav><a href='/'>home</a></nav><main><h1>{title}</h1><p>{words}</p></main>"
        f"<nav><ul>{anchors}</ul></nav></body></html>"
    )


class Site:
    """`routes` maps a path (with its query) to HTML, to (status, headers, body), or to a function
    of the handler. `asked` counts requests, `seen` keeps their headers."""

    def __init__(self, routes: dict[str, Route]) -> None:
        self.routes, self.asked = routes, Counter[str]()
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.url = ""


@contextmanager
def serve(routes: dict[str, Route]) -> Iterator[Site]:
    site = Site(routes)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked[self.path] += 1
            site.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            route = site.routes.get(self.path, site.routes.get("*", (404, {}, "no such page")))
            if callable(route):
                route = route(self)
            if route is None:
                return
            if not isinstance(route, tuple):
                route = (200, {}, route)
            status, headers, body = route
            data = body.encode() if isinstance(body, str) else body
            self.send_response(status)
            for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
