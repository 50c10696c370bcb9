"""What the training in the form would take: guessed at once, tried when it stays as it is.

A guess comes from shapes and earlier trainings; for a better one a few real steps are tried. Both
are done beside the kernel, by `_train_worker`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Future
from itertools import count
from threading import Lock, Thread
from typing import IO, Any

from traitlets import Any as AnyTrait
from traitlets import Bool

from workbench.errors import TrainingError
from workbench.panels.states._doing import DoingState
from workbench.panels.states._state import Problem

PAUSE = 0.8  # seconds without a change before steps are tried
_WORKER = "workbench.panels.states._train_worker"
_UNKNOWN = "What this would take could not be worked out. Change a setting to try again."
_Waiting = dict[int, Future[dict[str, Any]]]
_log = logging.getLogger(__name__)


class Estimator:
    """The process that estimates: started by the first question, until `stop`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._waiting: _Waiting = {}
        self._ids = count(1)
        self._turn = Lock()

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The price as JSON, in seconds. Raises TrainingError. May be called from any thread."""
        asked: Future[dict[str, Any]] = Future()
        with self._turn:
            if self._process is None or self._process.poll() is not None:
                self._start()
            id = next(self._ids)
            self._waiting[id] = asked
            self._send({"id": id, "question": dict(question)})
        found = asked.result()
        if "price" not in found:
            raise TrainingError(found.get("error", _UNKNOWN))
        price: dict[str, Any] = found["price"]
        return price

    def stop(self) -> None:
        """End the process; whoever waits for its answer gets none."""
        if self._process is not None:
            self._process.kill()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._waiting = {}
        Thread(target=self._listen, args=[self._process, self._waiting], daemon=True).start()

    def _send(self, words: Mapping[str, Any]) -> None:
        stream: IO[str] = self._process.stdin  # type: ignore[union-attr, assignment]
        try:
            stream.write(json.dumps(words) + "\n")
            stream.flush()
        except OSError:  # it ended: the listener tells all that wait
            pass

    def _listen(self, process: subprocess.Popen[str], waiting: _Waiting) -> None:
        """Hand out answers; at the end of the process, none to all that still wait."""
        for line in process.stdout or ():
            found = json.loads(line)
            waiting.pop(found["id"]).set_result(found)
        process.wait()
        with self._turn:
            for one in waiting.values():
                one.set_result({})
            waiting.clear()


class PriceState(DoingState):
    """`found` is a price as JSON, None while none is known; `busy` while it gets better."""

    found = AnyTrait(None, allow_none=True)
    busy = Bool(False)
    _asked: Mapping[str, Any] | None = None
    _work: asyncio.Task[None] | None = None

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._estimator = Estimator()

    def about(self, question: Mapping[str, Any] | None) -> None:
        """Begin to estimate this training (arguments of `estimate`); None: there is none."""
        if question == self._asked:
            return
        self._rest()
        self._asked, self.problem, self.busy = question, "", question is not None
        if question is None:
            self.found = None
        else:
            self._work = asyncio.ensure_future(self._estimate(question))

    def close(self) -> None:
        """Try nothing more, and end the process."""
        self._rest()
        self._estimator.stop()

    def _rest(self) -> None:
        self._asked, self.busy = None, False
        if self._work is not None:
            self._work.cancel()

    async def settled(self) -> None:
        """Wait until nothing is tried any more."""
        while self._work is not None and not self._work.done():
            await asyncio.wait([self._work])

    async def _estimate(self, question: Mapping[str, Any]) -> None:
        try:
            ask = self._estimator.ask
            self.found = await self.do(lambda: ask({**question, "measure": False}))
            await asyncio.sleep(PAUSE)
            if not self.problem:
                self.found = await self.do(lambda: ask({**question, "measure": True}))
        except Exception as error:
            _log.error("estimating failed", exc_info=error)
            self.problem = Problem.of(error).sentence
        self.found, self.busy = (None if self.problem else self.found), False
