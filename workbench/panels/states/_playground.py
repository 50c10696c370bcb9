"""The Playground's rules: one prompt or a chat, streamed, stoppable, repeatable.

Tokens arrive up to thousands per second; `live` changes at most every 40 ms (rarer for a long
text, whose drawing costs more), so that neither the loop nor the browser is flooded. An engine
that dies in mid-stream leaves what came, a problem, and a connection that is made anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import count
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Enum, Instance, Int, Unicode
from traitlets import Tuple as TupleTrait

from workbench.errors import EngineUnreachable, ModelNotFound, StreamBroken
from workbench.panels.states._answer import Growing, Turn
from workbench.panels.states._engine import EngineState
from workbench.panels.states._jobs import JobsState
from workbench.panels.states._options import OptionsState, own_parameters
from workbench.panels.states._state import Problem, State
from workbench.types import Chunk, Message, Metrics, Model

if TYPE_CHECKING:
    from workbench.engines import AsyncEngine

REDRAW = 0.04  # seconds between two pictures of a growing answer
REDRAW_PER_CHARACTER = 2.5e-6


class PlaygroundState(State):
    """Everything that the Playground shows; `turns` is of the chosen mode."""

    actions = frozenset({"choose", "send", "stop", "undo", "clear", "regenerate", "edit"})
    settable = frozenset({"mode", "system", "editing"})
    model = Unicode("")
    mode = Enum(("prompt", "chat"), "prompt")
    system = Unicode("")
    single = TupleTrait(default_value=())
    chat = TupleTrait(default_value=())
    live = AnyTrait(None, allow_none=True)  # the turn that is being written
    problem = AnyTrait(None, allow_none=True)
    draft = Unicode("")  # what the prompt's field is set to
    composer = Int(0)  # counts up when that field is to be set anew
    editing = Unicode("")  # id of the turn that is being edited
    engine = Instance(EngineState, ())
    options = Instance(OptionsState, ())
    jobs = Instance(JobsState, ())  # on an empty machine: how far the first model is

    def __init__(self, **values: Any) -> None:
        self._wanted = values.pop("model", "")
        self._task: asyncio.Task[None] | None = None
        self._telling: asyncio.Future[None] | None = None
        self._ids = count(1)
        self._adopted: Model | None = None
        super().__init__(**values)
        self.engine.observe(lambda _change: self._choose_one(), ["models"])
        self._choose_one()

    def close(self) -> None:
        self.stop()

    async def refresh(self, *, start: bool = True) -> None:
        """The engine and its models; without any, how far the first one is."""
        await self.engine.refresh(start=start)
        if not self.engine.writers:
            await self.jobs.refresh()
        await self._adopt()

    async def _adopt(self) -> None:
        """Show the chosen model's own parameters as the options' defaults."""
        chosen = next((model for model in self.engine.models if model.name == self.model), None)
        if chosen is None or self.engine.engine is None or chosen == self._adopted:
            return
        details = await (await self.engine.connect(start=False)).show(chosen.name)
        self.options.own, self._adopted = own_parameters(details.parameters), chosen

    def wish(self, name: str) -> None:
        """Use this model, now or as soon as it appears."""
        self._wanted = name
        self._choose_one(anew=True)

    def _choose_one(self, *, anew: bool = False) -> None:
        """Keep the model while it exists; else the wished one, else the newest."""
        names = [model.name for model in self.engine.writers]
        if anew or self.model not in names:
            wanted = (self._wanted, f"{self._wanted}:latest")
            newest = self.model if self.model in names else (names or [""])[0]
            self.model = next((name for name in names if name in wanted), newest)

    @property
    def thinks(self) -> bool:
        """Whether the chosen model can think before it answers."""
        chosen: list[Model] = [m for m in self.engine.models if m.name == self.model]
        return bool(chosen) and "thinking" in chosen[0].capabilities

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What was said in this mode."""
        return tuple(self.chat if self.mode == "chat" else self.single)

    @property
    def last(self) -> Turn | None:
        """The last finished answer of this mode."""
        return next((turn for turn in reversed(self.turns) if turn.role == "assistant"), None)

    @property
    def code(self) -> str:
        """Python that asks the same with workbench; empty while there is nothing to ask."""
        from workbench.engines import code_for

        if self.live or not self.model or self.options.problems:
            return ""
        asked = self._asked()
        turns = self.turns[: asked + 1] if asked is not None else ()
        if self.mode == "chat":
            return code_for(
                "stream_chat", self.model, self._messages(turns), **self._keywords("chat")
            )
        prompt = turns[-1].text if turns else ""
        return code_for("stream_generate", self.model, prompt, **self._keywords("prompt"))

    def choose(self, value: str) -> None:
        """Use this model from now on. Raises ModelNotFound if it has vanished."""
        if value not in {model.name for model in self.engine.writers}:
            raise ModelNotFound(f"The model {value!r} is not installed any more. Choose another.")
        self.model = value

    async def send(self, prompt: str) -> None:
        """Ask. In Prompt mode the last pair is replaced, in Chat mode one is added."""
        if self.live or not prompt.strip():
            return
        chat = self.mode == "chat"
        self.draft = "" if chat else prompt
        self.composer += chat
        await self._ask((*(self.chat if chat else ()), Turn(next(self._ids), "user", prompt)))

    async def regenerate(self) -> None:
        """Ask the last question again; also the way on after an error."""
        asked = self._asked()
        if asked is not None:
            await self._ask(self.turns[: asked + 1])

    async def edit(self, turn: str, text: str) -> None:
        """Say it differently: what followed that turn is dropped, and it is asked again."""
        kept = [index for index, said in enumerate(self.turns) if str(said.id) == turn]
        self.editing = ""
        if kept and text.strip():
            await self._ask((*self.turns[: kept[0]], Turn(next(self._ids), "user", text)))

    def undo(self) -> None:
        """Take back the last question and its answer; the question returns to the field."""
        asked = self._asked()
        if asked is not None and not self.live:
            self.draft, self.problem = self.turns[asked].text, None
            self.composer += 1
            self._keep(self.turns[:asked], self.mode)

    def clear(self) -> None:
        """An empty sheet in this mode."""
        self.stop()
        self._keep((), self.mode)
        self.problem, self.editing, self.draft = None, "", ""
        self.composer += 1

    def stop(self) -> None:
        """Cancel the answer: the connection closes, and the engine stops working on it."""
        if self._task is not None:
            self._task.cancel()

    async def _ask(self, turns: tuple[Turn, ...]) -> None:
        if self.live:
            return
        growing = Growing(self.model)
        self._keep(turns, self.mode)
        self.problem, self.live = None, growing.turn()
        self._task = asyncio.ensure_future(self._answer(turns, growing, self.mode))
        await asyncio.wait([self._task])

    async def _answer(self, turns: tuple[Turn, ...], growing: Growing, mode: str) -> None:
        outcome = ""
        try:
            engine = await self.engine.connect()
            async with aclosing(self._chunks(engine, turns, mode)) as chunks:
                await self._collect(chunks, growing)
            if engine.kind == "ollama":  # our own engine tells the ledger itself
                told = (engine.url, self.model, growing.turn().metrics)
                self._telling = asyncio.ensure_future(asyncio.to_thread(_tell_ledger, *told))
        except asyncio.CancelledError:
            outcome = "stopped"
        except Exception as error:
            outcome = "interrupted"
            self.problem = Problem.of(error)
            if isinstance(error, EngineUnreachable | StreamBroken):
                self.engine._connection = None
        finally:
            self._task = None
        if growing.tokens or not outcome:
            turns = (*turns, growing.turn(next(self._ids), outcome))
        self._keep(turns, mode)
        self.live = None

    async def _collect(self, chunks: AsyncIterator[Chunk], growing: Growing) -> None:
        loop = asyncio.get_running_loop()
        rested = loop.time()
        timer: asyncio.TimerHandle | None = None

        def show() -> None:
            nonlocal timer
            timer = None
            self.live = growing.turn()

        try:
            async for chunk in chunks:
                growing.add(chunk)
                if timer is None:
                    pause = REDRAW + REDRAW_PER_CHARACTER * len(self.live.text)
                    timer = loop.call_later(pause if growing.tokens > 1 else 0, show)
                if loop.time() - rested > REDRAW / 4:  # chunks that lie ready never wait
                    await asyncio.sleep(0)
                    rested = loop.time()
        finally:
            if timer is not None:
                timer.cancel()

    def _chunks(self, engine: AsyncEngine, turns: tuple[Turn, ...], mode: str) -> Any:
        keywords = self._keywords(mode)
        if mode == "chat":
            return engine.stream_chat(self.model, self._messages(turns), **keywords)
        return engine.stream_generate(self.model, turns[-1].text, **keywords)

    def _keywords(self, mode: str) -> dict[str, Any]:
        system = {"system": self.system} if self.system and mode == "prompt" else {}
        return {**system, **self.options.request()}

    def _messages(self, turns: tuple[Turn, ...]) -> list[Message]:
        said = [Message(turn.role, turn.text) for turn in turns]  # type: ignore[arg-type]
        return [Message("system", self.system), *said] if self.system else said

    def _asked(self) -> int | None:
        """Where the last question stands."""
        asked = [index for index, turn in enumerate(self.turns) if turn.role == "user"]
        return asked[-1] if asked else None

    def _keep(self, turns: tuple[Turn, ...], mode: str) -> None:
        setattr(self, "chat" if mode == "chat" else "single", turns)


def _tell_ledger(url: str, model: str, metrics: Metrics | None) -> None:
    from workbench.cards import observe
    from workbench.engines import Engine

    with Engine(url) as engine:
        observe(engine, model, metrics)
