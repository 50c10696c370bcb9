"""Lines of JSON: errors before and after the first one, one object instead, clients that leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from library_tools import serving, until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workbench.embedded._guard import error_response
from workbench.embedded._stream import Emit, events_of, ndjson
from workbench.errors import InvalidRequest, WorkbenchError


class Story:
    """A route whose events the test decides."""

    def __init__(self) -> None:
        self.before: list[Any] = []
        self.waits = False
        self.ended = ""
        self.app = Starlette(
            routes=[Route("/", self._answer, methods=["POST"])],
            exception_handlers={WorkbenchError: error_response, Exception: error_response},
        )

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        if body.get("all"):
            return ndjson(request, self._events(), False, lambda events: {"all": list(events)})
        return ndjson(request, self._events(), body["stream"])

    async def _events(self) -> AsyncGenerator[dict[str, Any], None]:
        try:
            for event in self.before:
                if isinstance(event, Exception):
                    raise event
                yield event
            if self.waits:
                await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        finally:
            self.ended = self.ended or "closed"


async def ask(story: Story, **body: Any) -> httpx.Response:
    transport = httpx.ASGITransport(story.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.post("/", json=body)


async def test_lines_as_they_come() -> None:
    story = Story()
    story.before = [{"text": "é\n\ud800"}, {"done": True}]
    response = await ask(story, stream=True)
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.content == '{"text":"é\\n?"}\n{"done":true}\n'.encode()


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_at_first_is_a_status(stream: bool) -> None:
    story = Story()
    story.before = [InvalidRequest("no", 400)]
    response = await ask(story, stream=stream)
    assert (response.status_code, response.json()) == (400, {"error": "no"})


@pytest.mark.parametrize("error", [InvalidRequest("no", 400), ValueError("secret")])
async def test_an_error_later_is_a_line(error: Exception) -> None:
    story = Story()
    story.before = [{"a": 1}, error]
    response = await ask(story, stream=True)
    first, last = map(json.loads, response.text.splitlines())
    assert (response.status_code, first) == (200, {"a": 1})
    ours = isinstance(error, InvalidRequest)
    assert last == {"error": "no"} if ours else "internal error" in last["error"]
    assert "secret" not in response.text
    assert (await ask(story, stream=False)).status_code == (400 if ours else 500)


async def test_one_object_instead() -> None:
    story = Story()
    story.before = [{"a": 1}, {"b": 2}]
    response = await ask(story, stream=False)
    assert response.headers["content-type"].startswith("application/json")
    assert response.json() == {"b": 2}
    assert (await ask(story, all=True)).json() == {"all": [{"a": 1}, {"b": 2}]}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("before", [[], [{"a": 1}]])
async def test_a_client_that_leaves_cancels_the_work(stream: bool, before: list[Any]) -> None:
    story = Story()
    story.before, story.waits = before, True
    with serving(story.app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/", json={"stream": stream}, timeout=0.5)
        await until(lambda: story.ended)
    assert story.ended == "cancelled"


async def test_work_emits_fails_and_is_cancelled() -> None:
    ended = []

    async def work(emit: Emit) -> None:
        emit({"n": 1})
        emit({"n": 2})
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    events = events_of(work)
    assert [await anext(events), await anext(events)] == [{"n": 1}, {"n": 2}]
    await events.aclose()
    assert ended == [True]

    async def fails(emit: Emit) -> None:
        emit({"n": 1})
        raise InvalidRequest("no", 400)

    events = events_of(fails)
    assert await anext(events) == {"n": 1}
    with pytest.raises(InvalidRequest):
        await anext(events)
