"""One connection pool per event loop, strict streams, and few retries: both clients' ground.

A request is repeated only where that is safe: when no connection was made (nothing was sent),
and for GET and HEAD also when the connection broke or the server was busy. A POST that may
have run is never repeated. Redirects are not followed. Addresses of this machine are reached
without the environment's proxies. httpx is imported on first use: it costs 70 ms.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from workbench.engines._errors import engine_error, error_of_response, excerpt, parsed
from workbench.engines._lines import drain, parse_object, split
from workbench.errors import EngineError, EngineUnreachable, InvalidRequest, StreamBroken
from workbench.types import EngineKind

if TYPE_CHECKING:
    import asyncio

    import httpx

CONNECT = 5.0  # seconds to make a connection
QUICK = 30.0  # seconds of silence that we bear from what an engine answers at once
LONG = 3600.0  # the same where it may load a model or read a long prompt first
PAUSES = (0.1, 0.4, 1.0)  # seconds between the tries

Body = Mapping[str, Any]
Content = bytes | Callable[[], AsyncIterator[bytes]] | None


class Transport:
    """Requests to one server, given as a URL without a trailing slash."""

    def __init__(
        self, url: str, advice: str, *, headers: Mapping[str, str] | None = None, query: str = ""
    ) -> None:
        self.url = url
        self._advice, self._query = advice, query
        self._headers = {"Accept-Encoding": "identity", **(headers or {})}
        self._clients: dict[asyncio.AbstractEventLoop, httpx.AsyncClient] = {}

    def _client(self) -> httpx.AsyncClient:
        """This event loop's client: connections cannot move between loops."""
        import asyncio

        import httpx

        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            for other in [other for other in self._clients if other.is_closed()]:
                self._clients.pop(other, None)
            self._clients[loop] = httpx.AsyncClient(
                headers=self._headers,
                verify=self.url.startswith("https:"),  # loading certificates takes 30 ms
                trust_env=not is_loopback(self.url),
                # Shorter than a server's own limit (uvicorn's is 5 s): a connection that the
                # server closes while we send is a POST whose fate nobody knows.
                limits=httpx.Limits(max_keepalive_connections=20, keepalive_expiry=2.0),
            )
        return self._clients[loop]

    async def close(self) -> None:
        """Close this loop's connections. A later request opens new ones."""
        import asyncio

        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    async def json(
        self, method: str, path: str, body: Body | None = None, *, read: float = QUICK
    ) -> dict[str, Any]:
        """The answer's JSON object, {} when it is empty. Raises the tree of EngineError."""
        response = await self.send(method, path, encode(body), read=read)
        data = await self._whole(response) or b"{}"
        answer = parsed(data)
        if not isinstance(answer, dict):
            said = excerpt(data.decode("utf-8", "replace"), 80)
            raise EngineError(
                f"{self.url}{path} answered something else than a JSON object: {said!r}. "
                "Is this the address of an engine?"
            )
        if answer.get("error") is not None:
            raise engine_error(answer["error"])
        return answer

    async def lines(self, path: str, body: Body) -> AsyncGenerator[bytes, None]:
        """POST, and the answer's lines as they come, without empty ones."""
        import httpx

        response = await self.send("POST", path, encode(body), read=LONG)
        try:
            encoded = "content-encoding" in response.headers
            async for line in split(response.aiter_bytes() if encoded else response.aiter_raw()):
                yield line
        except httpx.RequestError as error:
            raise self.broken(error) from None
        finally:
            await response.aclose()

    async def objects(
        self, path: str, body: Body, last: Callable[[dict[str, Any]], bool]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """POST, and the objects of an NDJSON answer up to the one that is `last`.

        An `error` line raises. An end before the last object raises StreamBroken.
        """
        async with aclosing(self.lines(path, body)) as lines:
            async for line in lines:
                data = parse_object(line, self.url)
                if last(data):
                    await drain(lines)
                    yield data
                    return
                yield data
        raise self.broken("it ended without its last line")

    async def send(
        self,
        method: str,
        path: str,
        content: Content = None,
        *,
        headers: Mapping[str, str] | None = None,
        read: float = QUICK,
        accept: tuple[int, ...] = (),
    ) -> httpx.Response:
        """Send and return the open response; other statuses than 2xx and `accept` raise."""
        import asyncio

        import httpx

        safe = method in {"GET", "HEAD"}
        client = self._client()
        for pause in (*PAUSES, None):
            request = client.build_request(
                method,
                self.url + path + self._query,
                content=content() if callable(content) else content,
                headers={"Content-Type": "application/json", **(headers or {})},
                timeout=httpx.Timeout(read, connect=CONNECT, pool=None),
            )
            try:
                response = await client.send(request, stream=True)
            except httpx.RequestError as error:
                broken = safe and isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
                if pause is None or not (broken or isinstance(error, httpx.ConnectError)):
                    raise self._unreachable(error) from error
            else:
                if response.is_success or response.status_code in accept:
                    return response
                if pause is None or not (safe and response.status_code in {429, 503}):
                    raise await self._refusal(response)
                await response.aclose()
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _whole(self, response: httpx.Response) -> bytes:
        import httpx

        try:
            return await response.aread()
        except httpx.RequestError as error:
            raise self.broken(error) from None
        finally:
            await response.aclose()

    async def _refusal(self, response: httpx.Response) -> EngineError:
        body = await self._whole(response)
        location = response.headers.get("location", "")
        url = f"{self.url}{response.request.url.path}"
        return error_of_response(response.status_code, body, url, location)

    def broken(self, reason: Exception | str) -> StreamBroken:
        return StreamBroken(
            f"An answer of {self.url} is incomplete: {_said(reason)}. Look at the engine's log, "
            "then ask again."
        )

    def _unreachable(self, error: httpx.RequestError) -> EngineError:
        import httpx

        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            message = f"Nothing answers at {self.url} ({_said(error)}). {self._advice}"
            return EngineUnreachable(message)
        if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
            return InvalidRequest(f"This cannot be sent to {self.url}: {_said(error)}.")
        return EngineUnreachable(
            f"{self.url} gave no answer ({_said(error)}). The request may have run: look at the "
            "engine's log, then try again."
        )


class Client:
    """What the async clients share: the address, closing, the context manager."""

    kind: EngineKind

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @property
    def url(self) -> str:
        return self._http.url

    async def close(self) -> None:
        """Free the connections. A later call opens new ones."""
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


def encode(body: Body | None) -> bytes | None:
    """JSON without the fields that are None. Raises InvalidRequest for what is not JSON."""
    if body is None:
        return None
    try:
        kept = {key: value for key, value in body.items() if value is not None}
        return json.dumps(kept, ensure_ascii=False, allow_nan=False, default=dict).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"The request cannot be written as JSON: {error}.") from None


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _said(reason: Exception | str) -> str:
    return excerpt(str(reason), 120).rstrip(".") or type(reason).__name__
