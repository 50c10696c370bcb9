"""`AsyncOpenAIEngine`: the client of the OpenAI protocol, with the same methods and records.

For OpenAI, Azure OpenAI (endpoint, deployment, api-version), vLLM, llama-server, LM Studio and
Ollama's own /v1. What the protocol lacks is not there: loading, pulling, creating.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Unpack, cast
from urllib.parse import quote, urlsplit

from workbench.engines import _openai_words as words
from workbench.engines import _parse
from workbench.engines._arguments import Ask, Chat, Prompt, Turn, advised, whole
from workbench.engines._http import LONG, Body, Client, Transport
from workbench.engines._openai_stream import Assembly, events
from workbench.errors import InvalidRequest, SettingsError
from workbench.settings import env
from workbench.types import Chunk, Embeddings, EngineKind, Message, Model

OPENAI_URL = "https://api.openai.com/v1"
AZURE_VERSION = "2024-10-21"
_ADVICE = "Check the address, and that the server runs."


class AsyncOpenAIEngine(Client):
    """A server of the OpenAI protocol.

    `url` defaults to OPENAI_BASE_URL, else OpenAI's own. With a `deployment` or an
    `api_version`, or at an address under azure.com, it is an Azure endpoint (default:
    AZURE_OPENAI_ENDPOINT); without a deployment, models are deployments. The key comes from
    `api_key`, else OPENAI_API_KEY or AZURE_OPENAI_API_KEY; local servers mostly need none.
    """

    kind: EngineKind = "openai"

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        deployment: str | None = None,
        api_version: str | None = None,
    ) -> None:
        azure = bool(deployment or api_version)
        url = url or (env("AZURE_OPENAI_ENDPOINT") if azure else env("OPENAI_BASE_URL", OPENAI_URL))
        if not url:
            raise SettingsError("Azure needs its endpoint: pass url, or set AZURE_OPENAI_ENDPOINT.")
        url = words.base_url(url)
        host = urlsplit(url).hostname or ""
        self._deployment = deployment
        self._azure = azure or host.endswith(".azure.com")
        self._hosted = self._azure or host == "api.openai.com"
        self._root = "/openai" if self._azure else "" if urlsplit(url).path else "/v1"
        key = api_key or env("AZURE_OPENAI_API_KEY" if self._azure else "OPENAI_API_KEY")
        version = api_version or env("OPENAI_API_VERSION", AZURE_VERSION)
        query = f"?api-version={quote(version, safe='')}" if self._azure else ""
        headers = words.key_header(key, azure=self._azure)
        super().__init__(Transport(url, _ADVICE, headers=headers, query=query))
        self._shown = {"deployment": deployment, "api_version": api_version}

    def __repr__(self) -> str:
        given = [f", {name}={value!r}" for name, value in self._shown.items() if value]
        return f"{type(self).__name__}({self.url!r}{''.join(given)})"

    @advised
    async def models(self) -> list[Model]:
        """The models that the server offers; it tells little more than their names."""
        answer = await self._http.json("GET", f"{self._root}/models")
        rows = _parse.rows(answer.get("data"))
        return [_parse.model(Model, row, _parse.text(row.get("id"))) for row in rows]

    @advised
    def stream_chat(
        self, model: str, messages: Sequence[Turn], **more: Unpack[Chat]
    ) -> AsyncGenerator[Chunk, None]:
        """Answer a conversation."""
        _refuse({"keep_alive"} if more.get("keep_alive") is not None else set())
        body = {
            "messages": [words.message(turn) for turn in messages],
            "tools": more.get("tools") or None,
            "response_format": words.response_format(more.get("format")),
            "reasoning_effort": words.effort(more.get("think")),
            "logprobs": more.get("logprobs"),
            "top_logprobs": more.get("top_logprobs") or None,
            **words.sampling(more.get("options"), hosted=self._hosted),
        }
        return self._stream(model, "chat/completions", body)

    @advised
    def stream_generate(
        self, model: str, prompt: str, **more: Unpack[Prompt]
    ) -> AsyncGenerator[Chunk, None]:
        """Answer a prompt, as a chat of one turn; `raw` or a `suffix` continue the bare text."""
        given = {name for name, value in more.items() if value}
        bare = bool(given & {"raw", "suffix"})
        _refuse(given - {"raw", "suffix", "options"} if bare else given & {"template"})
        if bare:
            body = {"prompt": prompt, "suffix": more.get("suffix")}
            body |= words.sampling(more.get("options"), hosted=False)
            return self._stream(model, "completions", body)
        turns = [Message("system", more.get("system") or "")] if more.get("system") else []
        turns.append(Message("user", prompt, images=_parse.images(more.get("images")) or ()))
        asked = {name: more.get(name) for name in Ask.__annotations__}
        return self.stream_chat(model, turns, **cast(Chat, asked))

    generate = whole(stream_generate)
    chat = whole(stream_chat)

    @advised
    async def embed(
        self, model: str, inputs: str | Sequence[str], *, dimensions: int | None = None
    ) -> Embeddings:
        """A vector of norm 1 for each input, in their order."""
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        if not texts:
            return Embeddings(())
        body = {"model": model, "input": texts, "dimensions": dimensions}
        body["encoding_format"] = "float"
        path = self._path(model, "embeddings")
        return words.embeddings(await self._http.json("POST", path, body, read=LONG), len(texts))

    def _path(self, model: str, action: str) -> str:
        if not self._azure:
            return f"{self._root}/{action}"
        return f"/openai/deployments/{quote(self._deployment or model, safe='')}/{action}"

    async def _stream(self, model: str, action: str, body: Body) -> AsyncGenerator[Chunk, None]:
        asked = {"model": model, "stream": True, "stream_options": {"include_usage": True}, **body}
        assembly = Assembly()
        lines = self._http.lines(self._path(model, action), asked)
        async with aclosing(lines), aclosing(events(lines, self.url)) as parts:
            async for part in parts:
                chunk = assembly.add(part)
                if chunk is not None:
                    yield chunk
        if not assembly.complete:
            raise self._http.broken("it ended without its last event")
        yield assembly.last()


def _refuse(names: set[str]) -> None:
    if names:
        raise InvalidRequest(
            f"{min(names)} cannot be had this way over the OpenAI protocol; leave it out."
        )
