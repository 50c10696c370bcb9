"""One engine and the one model that is loaded in it: load, ask, begin again after a crash.

A crash of the model's process may be the setting's doing or bad luck: the question is asked once
more. Who breaks twice ends the trial with `TrialFailed`; what is wrong with the engine or the
model as such is an EngineError, which ends the study.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from workbench.bench import SLOTS, Answer, How, Plan, ask
from workbench.engines import AsyncEngine, aconnect
from workbench.errors import (
    BenchError,
    EngineBusy,
    EngineError,
    EngineUnreachable,
    ModelNotFound,
    NotEnoughMemory,
    TrialFailed,
)
from workbench.meter import memory
from workbench.scorers import Sample
from workbench.tasks import Task
from workbench.trial._setting import Setting
from workbench.types import RunningModel

T = TypeVar("T")
_PATIENCE = 30  # tries, one a second, while an engine is busy or comes back
_LONGEST = 900.0  # seconds for one answer
_GOING = 30  # tenths of a second in which a model must have gone


class Asker:
    """Asks one model at a time. Everything here runs on one event loop."""

    def __init__(self, engine: AsyncEngine, url: str | None, model: str) -> None:
        self.engine, self.model = engine, model
        self.version = ""
        self.loads = 0
        self.load_seconds: float | None = None
        self.slots = SLOTS
        self.own: dict[str, Any] = {}  # options that the engine took where nothing was said
        self._url = url
        self._digests: dict[str, str] = {}  # of the names that were measured
        self._names: dict[tuple[str, str], str] = {("", model): model}  # by quantisation, of what
        self._loaded: tuple[str, Setting] | None = None  # name and setting

    @classmethod
    async def open(cls, url: str | None, model: str) -> Asker:
        """Raises EngineUnreachable, ModelNotFound."""
        engine = await aconnect(url)
        found = cls(engine, url, model)
        try:
            found.version = f"{engine.kind} {await engine.version()}"
            with suppress(PackageNotFoundError):
                if engine.kind == "embedded":  # which tells the version of its protocol only
                    found.version += f" {version('xllamacpp')}"
            await found.digest(model)
        except BaseException:
            await engine.close()
            raise
        return found

    async def close(self) -> None:
        """Free the model's memory where it was loaded here."""
        with suppress(EngineError):
            if self._loaded is not None:
                await self.engine.unload(self._loaded[0])
        await self.engine.close()

    async def named(self, setting: Setting, model: str = "") -> tuple[str, str]:
        """The name and the digest of this setting's weights, which are those of `model` (the one
        that is measured) in the setting's quantisation. Raises TrialFailed."""
        model = model or self.model
        if model not in self._digests:
            await self.digest(model)
        wanted = (setting.quantisation, model)
        if wanted not in self._names:
            self._names[wanted] = await self._name(setting, model) if wanted[0] else model
        name = self._names[wanted]
        return name, self._digests[name]

    async def digest(self, name: str) -> str:
        """Of the model of this name, which must not change while it is measured."""
        for one in await self.engine.models():
            if one.name in {name, f"{name}:latest"}:
                if self._digests.setdefault(name, one.digest) != one.digest:
                    raise BenchError(
                        f"{name} is another model than when this study began. Begin a new study."
                    )
                return one.digest
        raise ModelNotFound(
            f"The engine has no model {name!r}. Get it with: workbench models pull {name}", 404
        )

    async def _name(self, setting: Setting, model: str) -> str:
        """The model in this setting's quantisation, made where there is none. TrialFailed."""
        wanted = setting.quantisation.upper()
        if (await self.engine.show(model)).quantization.upper() == wanted:
            return model
        stem, _, tag = model.partition(":")
        name = f"{stem}:{tag or 'latest'}-{wanted.lower()}"
        with suppress(ModelNotFound):
            await self.digest(name)
            return name
        try:
            async for _ in self.engine.create(name, from_=model, quantize=wanted):
                pass
        except (ModelNotFound, EngineUnreachable):
            raise
        except EngineError as error:
            raise TrialFailed(f"{model} cannot be had in {wanted}: {error}") from None
        await self.digest(name)
        return name

    async def load(
        self, name: str, setting: Setting, *, clean: bool = False, anew: bool = False
    ) -> bool:
        """Have the model loaded under this setting; whether that took a load.

        A `clean` load begins with an empty cache of prompts, whoever had the model loaded; `anew`
        loads it in any case. Raises TrialFailed where it cannot be loaded.
        """
        old, self._loaded = self._loaded, None
        if old and not anew and (old[0], old[1].load) == (name, setting.load):
            self._loaded = (name, setting)
            return False
        going = {old[0]} - {name} if old else set()  # its memory is the next one's
        for one in going | ({name} if clean or anew else set()):
            await self._unload(one)
        await self.digest(name)
        begun = time.perf_counter()
        try:
            await self._patiently(lambda: self.engine.load(name, options=setting.loading))
        except (ModelNotFound, EngineUnreachable):
            raise
        except EngineError as error:
            raise TrialFailed(f"{name} cannot be loaded under these settings: {error}") from None
        self.load_seconds = time.perf_counter() - begun
        self.loads += 1
        self._loaded = (name, setting)
        row = await self._listed(name)
        self.slots = (row and row.slots) or SLOTS
        kind = row and row.raw.get("kv_cache_type")  # the embedded engine tells
        if isinstance(kind, str) and "kv_cache_type" not in setting.loading:
            self.own["kv_cache_type"] = kind
        return True

    @property
    def loaded(self) -> tuple[str, Setting] | None:
        """Name and setting of what is loaded, where that is known."""
        return self._loaded

    def forget(self) -> None:
        """Somebody else had the engine: what is loaded is not known any more."""
        self._loaded = None

    async def look(self) -> None:
        """Whether the model is loaded still: another one may have needed its memory."""
        if self._loaded is not None and await self._listed(self._loaded[0]) is None:
            self._loaded = None

    async def warm_up(self) -> None:
        """The first prompt after a load takes longer than others do."""
        assert self._loaded is not None
        name, setting = self._loaded
        options = {**setting.loading, "temperature": 0, "num_predict": 2}
        with suppress(EngineError):
            await self.engine.generate(name, "the", raw=True, options=options)

    async def memory(self) -> int | None:
        """Bytes that the loaded model holds, at its process's peak where that is known."""
        assert self._loaded is not None
        held = await memory(self.engine, self._loaded[0])
        return held.peak or held.held

    async def ask(
        self, task: Task, sample: Sample, how: How, seed: int, *, anew: bool = False
    ) -> Answer:
        """The loaded model's answer, not yet scored; its prompt is read `anew`, or as far as it was
        not read before, where the engine has that choice. Raises TrialFailed, EngineError."""
        assert self._loaded is not None
        name, setting = self._loaded
        options = {**setting.options, **setting.loading, "seed": seed}
        if self.engine.kind == "embedded":
            # without it, a seed says that everything is read anew
            options["cache_prompt"] = not anew
        plan = Plan(name, "", options=options)
        try:
            try:
                return await self._patiently(lambda: self._ask(plan, task, sample, how))
            except EngineError as error:
                if isinstance(error, ModelNotFound | EngineUnreachable | NotEnoughMemory):
                    raise
                await asyncio.sleep(0.1)
            await self._patiently(lambda: self.engine.load(name, options=setting.loading))
            return await self._patiently(lambda: self._ask(plan, task, sample, how))
        except (ModelNotFound, EngineUnreachable):
            raise
        except EngineError as error:
            raise TrialFailed(f"{name} broke off under these settings, twice: {error}") from None

    async def _ask(self, plan: Plan, task: Task, sample: Sample, how: How) -> Answer:
        try:
            return await ask(self.engine, plan, task, sample, how, None)
        except EngineError as error:
            if error.status != 400:
                raise
            return Answer(task.name, sample.id, 0, {}, how, error=str(error))

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`; an engine that is busy or gone is waited for."""
        for _ in range(_PATIENCE):
            try:
                async with asyncio.timeout(_LONGEST):
                    return await work()
            except TimeoutError:
                raise TrialFailed(
                    f"{self.model} took more than {_LONGEST / 60:.0f} minutes for one answer "
                    "under these settings."
                ) from None
            except EngineBusy:
                await asyncio.sleep(1)
            except EngineUnreachable:
                await self._reconnect()
        raise EngineUnreachable(
            f"The engine did not come back within {_PATIENCE} tries. What was answered is kept: "
            "resume the study when it runs again."
        )

    async def _reconnect(self) -> None:
        await asyncio.sleep(1)
        if self._url is None:  # ours is started again where it ended
            with suppress(EngineError):
                old, self.engine = self.engine, await aconnect()
                await old.close()

    async def _unload(self, name: str) -> None:
        """Wait until the model has gone; one that others keep stays."""
        with suppress(EngineError):
            await self.engine.unload(name)
            for _ in range(_GOING):
                if await self._listed(name) is None:
                    return
                await asyncio.sleep(0.1)

    async def _listed(self, name: str) -> RunningModel | None:
        """The model's line among those that are loaded."""
        rows, bare = await self.engine.running(), name.removesuffix(":latest")
        return next((row for row in rows if row.name.removesuffix(":latest") == bare), None)
