"""Small documents from the network, kept in `<home>/catalogue/`, cut off cleanly.

Asked only when a person asks. Whatever the other side does (nothing, drips, floods, redirects
elsewhere, rubbish), the answer or a clear EngineError comes within seconds. An answer is kept with
its time under the hash of its address: while it is fresh nothing is asked, and when the network
fails it serves with its age. A damaged or foreign file there counts as none.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin

from workbench.errors import EngineError, EngineUnreachable, ModelNotFound
from workbench.protocol import digest_of
from workbench.settings import home

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
CONNECT, WHOLE = 3.0, 10.0  # seconds
FRESH = 3600.0  # seconds for which an answer is not asked for again
LARGEST = 16 * 2**20  # bytes of an answer
_MOST_FILES, _MOST_BYTES = 500, 128 * 2**20  # of the cache
_REDIRECTS = 3
_SAME = {"hf.co": "huggingface.co"}  # two names of one house


@dataclass(frozen=True, slots=True)
class Answer:
    """What an address said, and when. `problem` says why nothing newer came."""

    body: bytes
    fetched_at: datetime
    problem: str = ""


def fetch(
    url: str,
    *,
    check: Callable[[bytes], object],
    headers: Mapping[str, str] | None = None,
    refresh: bool = False,
    digest: str | None = None,
) -> Answer:
    """The document at `url`, from the cache while it is fresh. Raises EngineError.

    `check` raises EngineError for what is no answer, which is then not kept. With its `digest` a
    document may come from anywhere, as registries send blobs, and must be what that names.
    """
    fresh = 0.0 if refresh else FRESH if digest is None else inf
    known = kept(url)
    if known is not None and 0 <= (datetime.now(UTC) - known.fetched_at).total_seconds() < fresh:
        return known
    try:
        body = within(WHOLE, _host(url), lambda: _download(url, headers or {}, digest))
        check(body)
    except ModelNotFound:
        raise
    except EngineError as error:
        if known is None:
            raise
        problem = f"{error} This is what it said {age(known.fetched_at)} ago."
        return Answer(known.body, known.fetched_at, problem)
    answer = Answer(body, datetime.now(UTC))
    keep(url, answer)
    return answer


def within(seconds: float, who: str, work: Callable[[], T]) -> T:
    """The work's result; EngineUnreachable when it takes longer, however it hangs."""
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:  # handed to who waits
            done.put((None, error))

    threading.Thread(target=run, daemon=True, name="catalogue").start()
    try:
        value, error = done.get(timeout=seconds)
    except queue.Empty:
        raise EngineUnreachable(
            f"{who} did not answer within {seconds:g} seconds. Try again later."
        ) from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def age(then: datetime) -> str:
    """How long ago, in words: "5 minutes", "3 days"."""
    seconds = max(0.0, (datetime.now(UTC) - then).total_seconds())
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}" + "s" * (count > 1)
    return "less than a minute"


def _download(url: str, headers: Mapping[str, str], digest: str | None) -> bytes:
    import httpx

    from workbench.library import is_loopback

    who = _host(url)
    timeout = httpx.Timeout(WHOLE, connect=CONNECT)
    near = is_loopback(httpx.URL(url).host)
    try:
        with httpx.Client(timeout=timeout, trust_env=not near) as client:
            for _ in range(_REDIRECTS + 1):
                with client.stream("GET", url, headers=dict(headers)) as response:
                    if response.is_redirect:
                        url = _next(url, response.headers.get("location", ""), digest is not None)
                        continue
                    body = _body(who, response)
                    if digest is not None and digest_of(body) != digest:
                        raise EngineError(f"{who} sent something else than it promised. Try again.")
                    return body
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        reason = str(error) or type(error).__name__
        raise EngineUnreachable(f"{who} cannot be reached ({reason}). Try again online.") from error
    raise EngineError(f"{who} redirects in a circle. Try again later.")


def _next(url: str, location: str, anywhere: bool) -> str:
    """Where a redirect leads, as long as it stays in the house and does not leave https."""
    target = urljoin(url, location)
    here, there = _host(url), _host(target)
    secure = target.startswith("https://") or not url.startswith("https://")
    near = there in {here, _SAME.get(here)}
    if not there or not secure or not (near or anywhere):
        raise EngineError(
            f"{here} sends us elsewhere ({there or 'nowhere'}), which is not followed."
        )
    return target


def _body(who: str, response: httpx.Response) -> bytes:
    if response.status_code == 404:
        raise ModelNotFound(f"{who} has no such model. Check its name.", 404)
    if response.status_code in {401, 403}:
        raise EngineError(f"{who} asks for an account (set HF_TOKEN for the Hub).", 401)
    if response.status_code != 200:
        raise EngineError(f"{who} answers with status {response.status_code}. Try again later.")
    ends = time.monotonic() + WHOLE
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > LARGEST:
            raise EngineError(
                f"{who} answers with more than {LARGEST >> 20} MB, which is no answer."
            )
        if time.monotonic() > ends:
            raise EngineUnreachable(f"{who} is too slow. Try again later.")
    return bytes(body)


def _host(url: str) -> str:
    """The host and port of an address, for messages and comparisons."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0].lower()[:200]


# The cache


def _file(url: str) -> Path:
    return home() / "catalogue" / f"{hashlib.sha256(url.encode()).hexdigest()}.json"


def kept(url: str) -> Answer | None:
    """What was kept of an address; None for nothing, or what is damaged."""
    try:
        path = _file(url)
        if path.stat().st_size > 2 * LARGEST:
            return None
        record = json.loads(path.read_bytes())
        fetched = datetime.fromisoformat(record["fetched_at"])
        if record["url"] != url or fetched.tzinfo is None:
            return None
        return Answer(record["body"].encode("latin-1"), fetched)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def keep(url: str, answer: Answer) -> None:
    """Write it down, whole or not at all; a disk that is full is no reason to fail."""
    path = _file(url)
    record = {"url": url, "fetched_at": answer.fetched_at.isoformat()}
    record["body"] = answer.body.decode("latin-1")
    draft = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(record), encoding="utf-8")
        draft.replace(path)
        _tidy(path.parent)
    except OSError:
        with suppress(OSError):
            draft.unlink()


def _tidy(folder: Path) -> None:
    """Remove the oldest answers beyond the cache's bounds."""
    files = [(path.stat(), path) for path in folder.iterdir()]
    files.sort(key=lambda one: -one[0].st_mtime)
    total = 0
    for number, (status, path) in enumerate(files):
        total += status.st_size
        if number >= _MOST_FILES or (number and total > _MOST_BYTES):
            path.unlink(missing_ok=True)
