"""What stands between the network and the routes: who may ask, how much, and in what form.

The engine has no passwords; it answers this machine only. A web page elsewhere can make the
user's browser send requests here, so a foreign `Host` (DNS rebinding) or `Origin` is refused.
Whatever goes wrong inside becomes one JSON sentence; tracebacks go to the log alone.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench import settings
from workbench.errors import InvalidRequest, WorkbenchError

LARGEST_BODY = 128 * 2**20  # bytes of a JSON body; blobs are streamed to disk and have no limit
_LOCAL_ENDINGS = (".localhost", ".local", ".internal")
_ALLOWED_SCHEMES = {"app", "file", "tauri", "vscode-webview", "vscode-file"}
_METHODS = "GET, POST, HEAD, DELETE, OPTIONS"
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array"}
_TYPES |= {dict: "object", type(None): "null"}
_log = logging.getLogger(__name__)


class Guard:
    """ASGI middleware; it adds nothing to a stream but a look at the request's headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._origins = tuple(
            origin.strip() for origin in settings.env("OLLAMA_ORIGINS").split(",") if origin.strip()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if not is_local_host(headers.get("host", "")):
            response: Response | None = PlainTextResponse("forbidden host", 403)
        elif origin is not None and not self._allows(origin):
            response = PlainTextResponse("forbidden origin", 403)
        elif scope["method"] == "OPTIONS" and origin is not None:
            response = Response(status_code=204, headers=_cross_origin(origin))
        else:
            response = None
        if response is not None:
            await response(scope, receive, send)
            return
        await self._app(scope, receive, _with_origin(send, origin) if origin else send)

    def _allows(self, origin: str) -> bool:
        if "*" in self._origins or origin in self._origins:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme in _ALLOWED_SCHEMES:
            return True
        return (parts.hostname or "") in {"localhost", "127.0.0.1", "0.0.0.0", "::1"}  # noqa: S104


def is_local_host(host: str) -> bool:
    """Whether a `Host` header means this machine or its private network."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in {"localhost", socket.gethostname().lower()} or name.endswith(_LOCAL_ENDINGS):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_private or address.is_unspecified


async def read_json(request: Request, fields: Mapping[str, tuple[type, ...]]) -> dict[str, Any]:
    """The body as an object whose known fields have the right types; null counts as absent.

    The Content-Type is not looked at, as curl sends a form's by default.
    """
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_BODY:
                raise InvalidRequest(f"the request's body is larger than {LARGEST_BODY} bytes", 413)
    except ClientDisconnect:
        raise InvalidRequest("the client went away", 499) from None
    if not body.strip():
        raise InvalidRequest("missing request body", 400)
    try:
        value = json.loads(body)
        if b"\\ud" in body.lower():  # half a character, which UTF-8 cannot write, becomes "?"
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError:
        raise InvalidRequest("the request's JSON is nested too deeply", 400) from None
    except ValueError as error:
        raise InvalidRequest(f"invalid JSON: {error}", 400) from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"json: cannot use {_TYPES[type(value)]} as the request's object", 400)
    value = {name: item for name, item in value.items() if item is not None}
    for name, types in fields.items():
        if name in value and type(value[name]) not in types:
            wanted = " or ".join(_TYPES[kind] for kind in types)
            raise InvalidRequest(
                f'json: cannot use {_TYPES[type(value[name])]} as "{name}" of type {wanted}', 400
            )
    return value


def error_response(request: Request, error: Exception) -> Response:
    """Any exception as the protocol's error, in OpenAI's shape under /v1."""
    status = getattr(error, "status", None) or 500
    message = str(error)
    if not isinstance(error, WorkbenchError):
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        status, message = 500, "internal error; the engine's log has the details"
    if request.url.path.startswith("/v1/"):
        return JSONResponse({"error": openai_error(message, status)}, status)
    return JSONResponse({"error": message}, status)


def openai_error(message: str, status: int) -> dict[str, Any]:
    """The object that OpenAI's clients expect under `error`."""
    kinds = {400: "invalid_request_error", 404: "not_found_error"}
    return {"message": message, "type": kinds.get(status, "api_error"), "param": None, "code": None}


def plain_error(request: Request, error: Exception) -> Response:
    """404 and 405 of the router, which the protocol wants as plain text."""
    status = getattr(error, "status_code", 500)
    text = {404: "404 page not found", 405: "405 method not allowed"}.get(status, str(error))
    return PlainTextResponse(text, status)


def _cross_origin(origin: str) -> dict[str, str]:
    return {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": _METHODS,
        "access-control-allow-headers": "*, authorization, content-type",
        "vary": "Origin",
    }


def _with_origin(send: Send, origin: str) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [(k.encode(), v.encode()) for k, v in _cross_origin(origin).items()]
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return wrapped
