"""What the doctor's tests share: a round by names, a stored file, a server that says it is old."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from workbench import settings
from workbench.doctor import Check, Fixed, check, fix


def examine(thorough: bool = False) -> dict[str, list[Check]]:
    """The findings by name."""
    found: dict[str, list[Check]] = {}
    for item in asyncio.run(check(thorough=thorough)):
        found.setdefault(item.name, []).append(item)
    return found


def verdict(found: dict[str, list[Check]], name: str) -> bool | None:
    (item,) = found[name]
    return item.ok


def mend(item: Check) -> Fixed:
    return asyncio.run(fix(item))


def blob(name: str) -> Path:
    """The file of a stored model's weights."""
    root = settings.models_folder()
    manifest = json.loads((root / f"manifests/registry.ollama.ai/library/{name}").read_bytes())
    layer = next(item for item in manifest["layers"] if item["mediaType"].endswith(".model"))
    path = root / "blobs" / str(layer["digest"]).replace(":", "-")
    path.chmod(0o600)
    return path


@contextmanager
def server(answers: dict[str, Any]) -> Iterator[str]:
    """A server on loopback that answers each path with this JSON; its URL."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = answers.get(self.path)
            body = json.dumps(known).encode()
            self.send_response(404 if known is None else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *words: Any) -> None:
            pass

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{serving.server_address[1]}"
    finally:
        serving.shutdown()
        serving.server_close()
        thread.join()
