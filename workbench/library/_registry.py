"""A registry over HTTP: manifests, blobs, tokens, and trying again.

The Docker registry protocol as Ollama's servers and the Hugging Face Hub speak it. A 401 with
a Bearer challenge is answered once with a token from the realm it names. What may be passing
(broken connections, 429, 5xx, a stall) is tried again with growing pauses.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import httpx

from workbench.errors import EngineError, InvalidRequest
from workbench.protocol import MANIFEST_TYPE, ModelName

T = TypeVar("T")
_LARGEST = 16 * 1024 * 1024  # bytes of a manifest, a token, a list of files


@dataclass(frozen=True, slots=True)
class PullLimits:
    """How downloads are cut and how patient they are; the defaults are Ollama's."""

    parts: int = 16  # of one blob, at once
    smallest: int = 100_000_000  # bytes of a part
    largest: int = 1_000_000_000
    piece: int = 1 << 20  # bytes that are written at once; a kill loses less than that per part
    tries: int = 6  # in a row without a new byte
    stall: float = 30.0  # seconds without a byte
    pause: float = 0.5  # seconds before the second try, then twice as long each time


class Unavailable(Exception):
    """The server cannot now; `after` are the seconds that it asks us to wait."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class Registry:
    """One server. An async context manager; closing it ends its connections."""

    def __init__(
        self, base: str, limits: PullLimits, *, insecure: bool = False, token: str = ""
    ) -> None:
        url = _url(base)
        if url is None:
            raise EngineError(f"{base} is no address of a registry", 500)
        self.base, self.limits = base, limits
        self._insecure, self._token = insecure, token
        self._client = httpx.AsyncClient(
            follow_redirects=True,
            verify=not insecure,
            trust_env=not is_loopback(url.host),
            timeout=httpx.Timeout(limits.stall),
            limits=httpx.Limits(max_connections=2 * limits.parts),
            headers={"accept-encoding": "identity", "user-agent": "ollama/0.33.0 (workbench)"},
        )

    def twin(self) -> Registry:
        """Another one with the same settings and token, to be closed on its own."""
        return Registry(self.base, self.limits, insecure=self._insecure, token=self._token)

    async def __aenter__(self) -> Registry:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def manifest(self, repository: str, tag: str) -> bytes:
        """The manifest's bytes. Raises EngineError "pull model manifest: …"."""
        url = f"{self.base}/v2/{repository}/manifests/{tag}"
        try:
            return await self.get(url, accept=MANIFEST_TYPE)
        except EngineError as error:
            raise EngineError(f"pull model manifest: {error}", 500) from error

    def blob_url(self, repository: str, digest: str) -> str:
        return f"{self.base}/v2/{repository}/blobs/{digest}"

    async def get(self, url: str, *, accept: str = "*/*") -> bytes:
        """A small document, with tries."""

        async def attempt() -> bytes:
            body = bytearray()
            async with self.stream(url, {"accept": accept}) as response:
                async for piece in response.aiter_raw():
                    body += piece
                    if len(body) > _LARGEST:
                        raise EngineError("the registry's answer is too large", 500)
            return bytes(body)

        return await self.patiently(attempt)

    async def patiently(
        self, attempt: Callable[[], Awaitable[T]], progress: Callable[[], int] = lambda: 0
    ) -> T:
        """Try until it works or has failed too often without `progress` growing."""
        tries, reached = 0, progress()
        while True:
            try:
                return await attempt()
            except (httpx.RequestError, Unavailable) as error:
                tries = 1 if progress() > reached else tries + 1
                reached = progress()
                if tries >= self.limits.tries:
                    host = self.base.partition("://")[2]
                    reason = str(error) or type(error).__name__
                    raise EngineError(
                        f"{host} does not deliver ({reason}); check the network and pull again, "
                        "what has come is kept", 500
                    ) from error  # fmt: skip
                pause = self.limits.pause * 2 ** (tries - 1) * random.uniform(0.5, 1)  # noqa: S311
                await asyncio.sleep(max(pause, getattr(error, "after", 0.0)))

    @asynccontextmanager
    async def stream(self, url: str, headers: dict[str, str]) -> AsyncIterator[httpx.Response]:
        """A successful answer whose body is read by the caller."""
        for last in (False, True):
            auth = {"authorization": f"Bearer {self._token}"} if self._token else {}
            async with self._client.stream("GET", url, headers=headers | auth) as response:
                challenge = response.headers.get("www-authenticate", "")
                if response.status_code == 401 and not last and challenge[:7].lower() == "bearer ":
                    self._token = await self._new_token(challenge)
                    continue
                _check(response)
                yield response
                return

    async def _new_token(self, challenge: str) -> str:
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = _url(fields.pop("realm", ""))
        if realm is None or (realm.scheme == "http" and not is_loopback(realm.host)):
            raise EngineError("the registry asks for a token in a way that is not safe", 500)
        query = {key: fields[key] for key in ("service", "scope") if key in fields}
        response = await self._client.get(realm.copy_merge_params(query))
        _check(response)
        try:
            answer = response.json()
            return str(answer.get("token") or answer["access_token"])
        except (ValueError, KeyError, AttributeError):
            raise EngineError("the registry gave no token", 500) from None


def registry_url(name: ModelName, insecure: bool) -> str:
    """Where a name's registry is. Raises InvalidRequest for http to another machine."""
    near = is_loopback(name.host.partition(":")[0])
    scheme = name.scheme or ("http" if near else "https")
    if scheme == "http" and not near and not insecure:
        raise InvalidRequest("insecure protocol http; allow it with insecure or use https", 400)
    return f"{scheme}://{name.host}"


def _url(text: str) -> httpx.URL | None:
    """An http(s) address with a host and a port that can be; else None."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return None
    sound = url.scheme in {"http", "https"} and url.host and (url.port or 0) < 65536
    return url if sound else None


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check(response: httpx.Response) -> None:
    status = response.status_code
    if status in {200, 206}:
        return
    if status == 404:
        raise EngineError("file does not exist", 500)
    if status in {401, 403}:
        raise EngineError("the registry does not allow it: an account or a token is needed", 500)
    if status == 429 or status >= 500:
        after = response.headers.get("retry-after", "")
        raise Unavailable(f"status {status}", min(60.0, float(after)) if after.isdecimal() else 0.0)
    raise EngineError(f"the registry answered with status {status}", 500)
