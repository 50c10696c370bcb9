"""`AsyncEngine`: the client of Ollama's protocol, for an Ollama and the embedded engine alike.

Answers are streamed on the wire also when the caller waits for the whole: so a long answer is
never silent, and closing the connection cancels the work. Nothing is checked here that the
engine checks: servers of different ages know different things.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Literal, Unpack

from workbench.engines import _create, _parse
from workbench.engines._arguments import Chat, Create, Options, Prompt, Turn, advised, whole
from workbench.engines._http import LONG, Body, Client, Transport
from workbench.errors import EngineError, InvalidRequest
from workbench.settings import engine_url
from workbench.types import (
    Chunk,
    Embeddings,
    EngineKind,
    Likelihood,
    Model,
    ModelDetails,
    Progress,
    RunningModel,
)

ADVICE = (
    "Start one with 'workbench engine serve' or 'ollama serve', or set OLLAMA_HOST to the "
    "address of yours."
)
OURS = "This engine cannot {}; use the embedded engine (WORKBENCH_ENGINE=embedded) with its models."


class AsyncEngine(Client):
    """An engine at `url`, over Ollama's protocol. All methods raise EngineError.

    May be used by several tasks and event loops at once. A stream that is left early (aclose,
    or cancelling the task) cancels the work in the engine.
    """

    def __init__(self, url: str, *, kind: EngineKind = "ollama") -> None:
        super().__init__(Transport(engine_url(url), ADVICE))
        self.kind = kind

    @advised
    async def version(self) -> str:
        """The engine's version, as it writes it."""
        return _parse.text((await self._http.json("GET", "/api/version")).get("version"))

    @advised
    async def models(self) -> list[Model]:
        """The installed models, the newest first."""
        return _parse.models(Model, await self._http.json("GET", "/api/tags"))

    @advised
    async def running(self) -> list[RunningModel]:
        """The loaded models."""
        return _parse.models(RunningModel, await self._http.json("GET", "/api/ps"))

    @advised
    async def show(self, name: str, verbose: bool = False) -> ModelDetails:
        """All about one model; `verbose` includes the long arrays of its metadata."""
        body = {"model": name, "verbose": verbose}
        return _parse.model(ModelDetails, await self._http.json("POST", "/api/show", body), name)

    @advised
    def stream_generate(
        self, model: str, prompt: str, **more: Unpack[Prompt]
    ) -> AsyncGenerator[Chunk, None]:
        """Answer a prompt. `raw` skips the model's template."""
        images = _parse.images(more.get("images"))
        body = {"model": model, "prompt": prompt, **more, "images": images}
        return self._chunks("/api/generate", body)

    @advised
    def stream_chat(
        self, model: str, messages: Sequence[Turn], **more: Unpack[Chat]
    ) -> AsyncGenerator[Chunk, None]:
        """Answer a conversation."""
        turns = [_parse.turn(message) for message in messages]
        return self._chunks("/api/chat", {"model": model, "messages": turns, **more})

    generate = whole(stream_generate)
    chat = whole(stream_chat)

    @advised
    async def embed(
        self, model: str, inputs: str | Sequence[str], *, truncate: bool = True,
        dimensions: int | None = None, options: Options | None = None,
        keep_alive: float | str | None = None,
    ) -> Embeddings:  # fmt: skip
        """A vector of norm 1 for each input, in their order. `truncate` cuts what is too long."""
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        body = {"model": model, "input": texts, "truncate": truncate, "dimensions": dimensions}
        body |= {"options": options, "keep_alive": keep_alive}
        answer = await self._http.json("POST", "/api/embed", body, read=LONG)
        return _parse.embeddings(answer, len(texts))

    @advised
    async def score(
        self, model: str, prompt: str, continuations: str | Sequence[str],
        *, options: Options | None = None, keep_alive: float | str | None = None,
    ) -> tuple[Likelihood, ...]:  # fmt: skip
        """How likely the model would go on from the prompt in these words; in their order.

        No template is used. A prompt of "" scores a text from its beginning. Only the embedded
        engine can tell; another one raises InvalidRequest.
        """
        texts = [continuations] if isinstance(continuations, str) else list(continuations)
        body: Body = {"model": model, "prompt": prompt, "continuations": texts}
        body = {**body, "options": options, "keep_alive": keep_alive}
        return _parse.likelihoods(await self._ours("score", body, "tell log-likelihoods"), texts)

    @advised
    async def tokenize(
        self, model: str, texts: str | Sequence[str],
        *, told: Literal["tokens", "counts", "pieces"] = "tokens",
    ) -> list[Any]:  # fmt: skip
        """Of each text its token ids, their number, or the text that each of them writes.

        Nothing is put before a text; special tokens in it are read as such. Only the embedded
        engine can tell; another one raises InvalidRequest.
        """
        given = [texts] if isinstance(texts, str) else list(texts)
        body = {"model": model, "texts": given, "ids": told == "tokens", "pieces": told == "pieces"}
        rows = (await self._ours("tokenize", body, "tell tokens")).get(told)
        if not isinstance(rows, list) or len(rows) != len(given):
            raise EngineError(f"The engine did not answer {told} for each text; see its log.")
        return rows

    @advised
    async def render(self, model: str, messages: Sequence[Turn], **more: Unpack[Chat]) -> str:
        """The conversation as the model reads it, without asking for the answer.

        Ollama can tell since 0.12; an older one raises InvalidRequest.
        """
        turns = [_parse.turn(message) for message in messages]
        body = {"model": model, "messages": turns, "stream": False, "_debug_render_only": True}
        body = {"options": {"num_predict": 1}, **body, **more}  # an old one answers all the same
        answer = await self._http.json("POST", "/api/chat", body, read=LONG)
        text = _parse.table(answer.get("_debug_info")).get("rendered_template")
        if not isinstance(text, str):
            raise InvalidRequest(OURS.format("show what a model reads"))
        return text

    @advised
    async def load(
        self, model: str, *, options: Options | None = None, keep_alive: float | str | None = None
    ) -> None:
        """Bring a model into memory, so that the next request does not wait for it."""
        body = {"model": model, "options": options, "keep_alive": keep_alive, "stream": False}
        try:
            await self._http.json("POST", "/api/generate", body, read=LONG)
        except InvalidRequest as error:
            if "does not support generate" not in str(error):
                raise
            await self.embed(model, [], options=options, keep_alive=keep_alive)

    @advised
    async def unload(self, model: str) -> None:
        """Free a model's memory as soon as nobody uses it."""
        body = {"model": model, "keep_alive": 0, "stream": False}
        await self._http.json("POST", "/api/generate", body, read=LONG)

    @advised
    def create(self, name: str, **more: Unpack[Create]) -> AsyncGenerator[Progress, None]:
        """Make a model from an installed one (`from_`) or from files, which are uploaded.

        `files` and `adapters` are a file, a folder (of safetensors with their JSON files, or of
        GGUF), or paths by the name that the engine shall see.
        """
        turns = [_parse.turn(message) for message in more.pop("messages", None) or ()]
        return _create.create(self._http, name, more, turns)

    @advised
    def pull(self, name: str, *, insecure: bool = False) -> AsyncGenerator[Progress, None]:
        """Fetch a model from a registry. A pull that was cut goes on where it stopped."""
        return _create.steps(self._http, "/api/pull", {"model": name, "insecure": insecure})

    @advised
    async def copy(self, source: str, destination: str) -> None:
        """Give a model a second name. A model that has it already is replaced."""
        await self._http.json("POST", "/api/copy", {"source": source, "destination": destination})

    @advised
    async def delete(self, name: str) -> None:
        """Remove a name, and the files that no other model needs."""
        await self._http.json("DELETE", "/api/delete", {"model": name})

    async def _ours(self, route: str, body: Body, what: str) -> dict[str, Any]:
        """The answer of a route that only the embedded engine has."""
        try:
            return await self._http.json("POST", f"/api/{route}", body, read=LONG)
        except EngineError as error:
            if type(error) is EngineError and error.status in {404, 405}:  # no such route
                raise InvalidRequest(OURS.format(what), error.status) from None
            raise

    async def _chunks(self, path: str, body: Body) -> AsyncGenerator[Chunk, None]:
        async with aclosing(self._http.objects(path, body, _done)) as objects:
            async for data in objects:
                yield _parse.chunk(data)


def _done(data: dict[str, Any]) -> bool:
    return data.get("done") is True
