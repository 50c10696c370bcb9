"""Asking for pages: one at a time, politely, within limits of time and size, and cancellable.

Each request runs in a thread of its own while the caller's thread reports, so that a name that is
looked up for long, or a server that says nothing, does not keep a job from being cancelled.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Thread
from typing import TypeVar

import httpx

from workbench.addresses import GuardedTransport, host_of
from workbench.crawl._scope import Options, normalise, origin
from workbench.errors import GatherError

T = TypeVar("T")
_HOPS, _TRIES = 5, 3
_LONGEST_WAIT = 120  # seconds: a site that wants to be left alone for longer is left alone
_AGAIN = frozenset({429, 500, 502, 503, 504})
_PULSE = 0.2


class Refusal(Exception):
    """Why a page is not had, in one sentence."""


class Trouble(Refusal):
    """The same where the site, not the page, seems to be at fault."""


class Away(Trouble):
    """The site asks to be left alone for longer than a crawl waits."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the last address of a chain of redirects said; a body only with status 200."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class Fetcher:
    """Reads addresses. `pulse` is called five times a second, and may raise to stop."""

    def __init__(self, options: Options, pulse: Callable[[], None]) -> None:
        self._options, self._pulse = options, pulse
        self._transport = GuardedTransport(allow_private=options.allow_private)
        self._client = httpx.Client(
            transport=self._transport,
            headers={"User-Agent": options.user_agent, "Accept-Encoding": "gzip"},
            timeout=options.timeout, trust_env=False, follow_redirects=False,
        )  # fmt: skip
        self.delays: dict[str, float] = {}  # seconds between requests that a site asks for itself
        self.requests = 0
        self._free: dict[str, float] = {}  # when a site may be asked again

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(
        self,
        url: str,
        *,
        types: tuple[str, ...],
        limit: int,
        check: Callable[[str], str] = lambda url: "",
        headers: Callable[[str], dict[str, str]] = lambda url: {},
    ) -> Answer:
        """The answer, after at most five redirects. `check` says why an address may not be asked
        ("" when it may), `headers` what to send to it. `types` are those to be read, none for any;
        `limit` is in bytes. Raises Refusal.
        """
        seen = [url]
        while True:
            if problem := check(url):
                raise Refusal(problem)
            answer = self._tried(url, headers(url), types, limit)
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            url = normalise(answer.headers.get("location", ""), url)
            if not url:
                raise Refusal("It redirects to what is no address of the web.")
            if url in seen:
                raise Refusal(f"It redirects in a circle, back to {url}.")
            if len(seen) > _HOPS:
                raise Refusal(f"It redirects more than {_HOPS} times.")
            seen.append(url)

    def beside(self, work: Callable[[], T]) -> T:
        """Do it in a thread while `pulse` is called here."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)

        Thread(target=run, daemon=True).start()
        while not wait([done], _PULSE).done:
            self._pulse()
        return done.result()

    def _tried(
        self, url: str, headers: dict[str, str], types: tuple[str, ...], limit: int
    ) -> Answer:
        site, attempt = origin(url), 0
        while True:
            attempt += 1
            self._wait_for(site)
            delay = max(self._options.delay, self.delays.get(site, 0))
            pause = max(delay, 0.25) * 2**attempt
            try:
                answer = self.beside(lambda: self._once(url, headers, types, limit))
                if answer.status not in _AGAIN or attempt == _TRIES:
                    return answer
                pause = _asked_pause(answer.headers, pause)
                if pause > _LONGEST_WAIT:
                    raise Away(f"It asks to be left alone for {pause:,.0f} seconds.")
            except httpx.TimeoutException:
                raise Trouble(
                    f"It did not come within {self._options.timeout:g} seconds."
                ) from None
            except GatherError as error:
                raise Refusal(str(error)) from None
            except httpx.HTTPError as error:
                if attempt == _TRIES:
                    reason = str(error) or type(error).__name__
                    raise Trouble(f"It could not be read ({reason[:200]}).") from None
            finally:
                self._free[site] = time.monotonic() + delay
            self._free[site] = time.monotonic() + pause

    def _wait_for(self, site: str) -> None:
        while (left := self._free.get(site, 0) - time.monotonic()) > 0:
            self._pulse()
            time.sleep(min(left, _PULSE))

    def _once(
        self, url: str, headers: dict[str, str], types: tuple[str, ...], limit: int
    ) -> Answer:
        host_of(url)
        self.requests += 1
        self._transport.allow(self._options.timeout)
        with self._client.stream("GET", url, headers=headers) as response:
            self._client.cookies.clear()
            body = b""
            if response.status_code == 200:
                kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
                if types and kind not in types:
                    raise Refusal(f"It is {kind[:80] or 'of no stated kind'}, not a page of text.")
                body = _body(response, limit)
            return Answer(url, response.status_code, response.headers, body)


def _body(response: httpx.Response, limit: int) -> bytes:
    """The body, unpacked as far as the limit goes. Raises Refusal.

    httpx itself would unpack each piece in full, layer over layer.
    """
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise Refusal(f"It is packed as {coding[:40]!r}, which was not asked for.")
    packed = zlib.decompressobj(zlib.MAX_WBITS | 16) if coding.endswith("gzip") else None
    body = bytearray()
    for chunk in response.iter_raw(1 << 16):
        try:
            body += packed.decompress(chunk, limit + 1 - len(body)) if packed else chunk
        except zlib.error:
            raise Refusal("It is packed, and damaged.") from None
        if len(body) > limit:
            raise Refusal(f"It is larger than {limit / (1 << 20):.3g} MB.")
    if packed and body and not packed.eof:
        raise Refusal("It is packed, and its end is missing.")
    return bytes(body)


def _asked_pause(headers: Mapping[str, str], otherwise: float) -> float:
    """Seconds that Retry-After asks for: a number or a date."""
    value = headers.get("retry-after", "").strip()
    try:
        if value.isascii() and value.isdecimal():
            return max(float(value[:9]), otherwise)
        moment = parsedate_to_datetime(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max((moment - datetime.now(UTC)).total_seconds(), otherwise)
    except (ValueError, TypeError, OverflowError):
        return otherwise
