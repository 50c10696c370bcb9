"""What a page needs behind it: an engine, and a model. In a thread, while the page opens.

What was started here is ended here: the engine if none ran before, and the job that makes the
first models. The job keeps its checkpoint; a note in the home makes the next start go on with it,
unless it was the user who cancelled it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli._service import end_marked
from workbench.errors import JobError, WorkbenchError
from workbench.settings import home

if TYPE_CHECKING:
    from workbench.jobs import Job

TARGET, KIND = "workbench.starter:prepare", "prepare"
PATIENCE = 30.0  # seconds for the engine to come up or the job to end


class Preparation:
    """`say(text, record)` tells the person or the program."""

    def __init__(self, say: Callable[[str, dict[str, object]], None]) -> None:
        self._say = say
        self._ended = threading.Event()
        self._had_engine = True
        self._engine: int | None = None  # the process of an engine that we started
        self._job: str | None = None
        self._had_supervisor = True
        self._thread = threading.Thread(target=self._run, daemon=True, name="prepare")

    def start(self) -> None:
        """Begin; the caller goes on."""
        self._thread.start()

    def stop(self) -> None:
        """End what was started: the job, the process that ran it, the engine."""
        self._ended.set()
        self._thread.join(PATIENCE)
        try:
            self._stop_job()
        finally:
            self._stop_engine()

    def _run(self) -> None:
        try:
            self._find_engine()
        except WorkbenchError as error:
            self._say(f"There is no engine yet: {error}", {"engine": None, "error": str(error)})

    def _find_engine(self) -> None:
        from workbench.engines import connect, engine_status

        self._had_engine = engine_status() is not None
        with connect() as engine:
            status = engine_status()
            if engine.kind == "embedded" and not self._had_engine and status is not None:
                self._engine = status.pid
            record: dict[str, object] = {"engine": engine.url, "kind": engine.kind}
            self._say(f"Engine: {engine.kind} at {engine.url}", record)
            has_models = bool(engine.models())
        if not self._ended.is_set():
            self._prepare_models(has_models)

    def _prepare_models(self, has_models: bool) -> None:
        from workbench.jobs import get, supervisor_pid

        had_supervisor = supervisor_pid() is not None
        job = _begin(has_models)
        if job is None:
            return
        self._job, self._had_supervisor = job.id, had_supervisor
        self._say(f"Making the first models; follow it in the page. Job {job.id}", {"job": job.id})
        while not self._ended.wait(1.0):
            if (job := get(job.id)).ended:
                text = "The models are ready." if job.state == "done" else f"Job {job.state}."
                self._say(text, {"job": job.id, "state": job.state})
                return

    def _stop_job(self) -> None:
        if self._job is None:
            return
        from workbench.jobs import cancel, get, jobs, wait

        cancelled = not get(self._job).ended
        if cancelled:
            _note().write_text(self._job)
            cancel(self._job)
            wait(self._job, PATIENCE)
            end_marked("WORKBENCH_JOB", self._job, "workbench.jobs", patience=10)
            self._say("The first models go on being made at the next start.", {"job": self._job})
        if not (self._had_supervisor or jobs("running", limit=1) or jobs("queued", limit=1)):
            _stop_supervisor(seconds=5 if cancelled else 0)

    def _stop_engine(self) -> None:
        from workbench.engines import engine_status, stop_engine

        status = engine_status()
        if status is None or self._had_engine:
            return
        if self._engine in {None, status.pid}:
            stop_engine()


def _begin(has_models: bool) -> Job | None:
    """The job that makes models: the unfinished one, else a new one if there are no models."""
    from workbench.jobs import jobs, resume, submit

    last = next((job for job in jobs() if job.kind == KIND), None)
    if last is not None and not last.ended:
        return None  # it goes on without us
    noted = _note().read_text() if _note().exists() else ""
    _note().unlink(missing_ok=True)
    if last is not None and last.state != "done":
        ours = last.state == "interrupted" or last.id == noted
        if ours or not has_models:
            try:
                return resume(last.id)
            except JobError:
                pass  # begin anew
    if has_models:
        return None
    return submit(TARGET, title="Make the first models", kind=KIND)


def _stop_supervisor(seconds: float) -> None:
    """End the process that runs jobs, which may have been started only a moment ago."""
    from workbench.jobs import stop_supervisor, supervisor_pid

    until = time.monotonic() + seconds
    while not stop_supervisor() and time.monotonic() < until:
        time.sleep(0.1)
    while supervisor_pid() is not None and time.monotonic() < until:
        time.sleep(0.1)


def _note() -> Path:
    return home() / "prepare-goes-on"
