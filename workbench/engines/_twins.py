"""`Engine` and `OpenAIEngine`: the plain twins, method by method."""

from __future__ import annotations

from workbench.engines._ollama import AsyncEngine
from workbench.engines._openai import AsyncOpenAIEngine
from workbench.engines._plain import Plain, plain_call, plain_stream
from workbench.types import EngineKind


class Engine(Plain[AsyncEngine]):
    """An engine at `url`, over Ollama's protocol: `AsyncEngine` without `await`.

    May be used from several threads, and inside a running event loop such as Jupyter's.
    """

    def __init__(self, url: str, *, kind: EngineKind = "ollama") -> None:
        super().__init__(AsyncEngine(url, kind=kind))

    version = plain_call(AsyncEngine.version)
    models = plain_call(AsyncEngine.models)
    running = plain_call(AsyncEngine.running)
    show = plain_call(AsyncEngine.show)
    generate = plain_call(AsyncEngine.generate)
    stream_generate = plain_stream(AsyncEngine.stream_generate)
    chat = plain_call(AsyncEngine.chat)
    stream_chat = plain_stream(AsyncEngine.stream_chat)
    embed = plain_call(AsyncEngine.embed)
    score = plain_call(AsyncEngine.score)
    tokenize = plain_call(AsyncEngine.tokenize)
    render = plain_call(AsyncEngine.render)
    load = plain_call(AsyncEngine.load)
    unload = plain_call(AsyncEngine.unload)
    create = plain_stream(AsyncEngine.create)
    pull = plain_stream(AsyncEngine.pull)
    copy = plain_call(AsyncEngine.copy)
    delete = plain_call(AsyncEngine.delete)


class OpenAIEngine(Plain[AsyncOpenAIEngine]):
    """A server of the OpenAI protocol: `AsyncOpenAIEngine` without `await`."""

    def __init__(
        self, url: str | None = None, *, api_key: str | None = None,
        deployment: str | None = None, api_version: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(AsyncOpenAIEngine(url, api_key, deployment, api_version))

    models = plain_call(AsyncOpenAIEngine.models)
    generate = plain_call(AsyncOpenAIEngine.generate)
    stream_generate = plain_stream(AsyncOpenAIEngine.stream_generate)
    chat = plain_call(AsyncOpenAIEngine.chat)
    stream_chat = plain_stream(AsyncOpenAIEngine.stream_chat)
    embed = plain_call(AsyncOpenAIEngine.embed)
