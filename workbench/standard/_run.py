"""Standard suites through lm-eval, an extra: its tasks and scores, our engine, our tables.

Each name (a task, a group, a tag) is a run of its own, so that leaderboard, comparison and reports
work on it as on any other. lm-eval makes the prompts and scores the answers; the engine is asked by
`_model`. An answer's value is the task's first figure that is told for each answer, lies
between 0 and 1 and is better when higher; the others stand beside it. A rolling perplexity's value
is what our own tasks have, 2 to the power of minus the bits per byte. A figure that exists for all
answers together only (BLEU of a corpus) is kept with the task, whose answers then have no value.

Where the canary finds no sane log-likelihoods, tasks that need them are refused: chance would look
like a score.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from workbench.bench import (
    SLOTS,
    Plan,
    Run,
    begin_run,
    find_run,
    get_run,
    note_run,
    save_answer,
    summarise,
)
from workbench.engines import aconnect
from workbench.errors import (
    BenchError,
    EngineUnreachable,
    ModelNotFound,
    TaskError,
    WorkbenchError,
)
from workbench.jobs import Job, JobCancelled, JobContext, submit
from workbench.meter import Canary, clocks, load_average, memory, noise, probe, setting
from workbench.protocol import check_options
from workbench.scorers import Mode
from workbench.standard import _tasks as tasks_of
from workbench.standard._model import Asker, options_of
from workbench.standard._scores import answers_of, fingerprint, metric_of

_TARGET = "workbench.standard:run_lm_eval"
_MODES: dict[str, Mode] = {
    "multiple_choice": "choice", "loglikelihood": "choice", "loglikelihood_rolling": "perplexity",
}  # fmt: skip


def submit_lm_eval(model: str, tasks: Sequence[str], **more: Any) -> Job:
    """Measure a model on tasks of lm-eval, in a job. `more` is what `run_lm_eval` takes.

    Raises MissingExtra, BenchError, and TaskError for the folder, before anything is queued. The
    names are looked up in the job: lm-eval takes some seconds to read its 14,000 files.
    """
    include = tasks_of.folder_of(more.get("include_path"))
    _check(tasks, more)
    named = tasks[0] if len(tasks) == 1 else f"{len(tasks)} tasks"
    title = f"Measure {model} on {named} of lm-eval"
    arguments = {"model": model, "tasks": [*tasks], **more, "include_path": include}
    return submit(_TARGET, arguments, title=title, kind="bench")


def run_lm_eval(
    context: JobContext,
    model: str,
    tasks: Sequence[str],
    limit: int | None = None,
    shots: int | None = None,
    engine: str | None = None,
    include_path: str | None = None,
    options: Mapping[str, Any] | None = None,
    chat: bool = False,
    allow_code: bool = False,
    parallel: int = 0,
) -> dict[str, Any]:
    """The job itself: ids of the runs, one for each name, and why some names have none.

    `limit` is samples of each task; `shots` examples before each question (None: as many as the
    task says); `chat` asks through the model's template, examples as turns; `include_path` is a
    folder with tasks of one's own; `allow_code` lets tasks do what `_tasks` says.
    """
    _check(tasks, {"limit": limit, "shots": shots})
    include, wanted = tasks_of.folder_of(include_path), check_options(options or {})
    done: list[str] = []
    failed: list[dict[str, str]] = []
    for number, name in enumerate(dict.fromkeys(tasks)):
        context.check_cancelled()
        suite = _suite(name, shots, chat)
        plan = Plan(
            model, suite, limit, options=wanted, parallel=parallel, name=f"{model} · {suite}"
        )
        one = _One(context, plan, name, include, shots, chat, allow_code, engine)
        one.share = (number, len(tasks))
        kept = find_run(context.id, one.key)
        try:
            done.append(kept.id if kept is not None and kept.state == "done" else one.run().id)
        except (EngineUnreachable, ModelNotFound):
            raise  # nothing further can be measured
        except WorkbenchError as error:
            failed.append({"model": model, "suite": suite, "reason": str(error)})
    if failed and not done:
        raise BenchError("; ".join(one["reason"] for one in failed[:3]))
    return {"runs": done, "failed": failed}


def measure_lm_eval(model: str, task: str, **more: Any) -> Run:
    """Measure a model on one task of lm-eval, here and now. Raises WorkbenchError."""
    with TemporaryDirectory() as folder:
        found = run_lm_eval(JobContext("", Path(folder)), model, [task], **more)
    return get_run(found["runs"][0])


def _check(tasks: Sequence[str], more: Mapping[str, Any]) -> None:
    tasks_of.require()
    if isinstance(tasks, str) or not tasks:
        raise BenchError("Nothing to measure: name at least one task of lm-eval.")
    known = list(signature(run_lm_eval).parameters)[3:]
    for name in set(more) - set(known):
        near = get_close_matches(name, known, 1)
        advice = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        raise BenchError(f"A measurement with lm-eval has no field {name!r}: {advice}")
    for name, least in (("limit", 1), ("shots", 0)):
        value = more.get(name)
        if value is not None and (not isinstance(value, int) or value < least):
            raise BenchError(f"{name} must be a whole number from {least} on, not {value!r}.")


def _suite(name: str, shots: int | None, chat: bool) -> str:
    """A run's suite: what is compared must be asked the same way."""
    parts = [f"lm-eval: {name}"]
    parts += [f"{shots} shots"] if shots is not None else []
    return ", ".join([*parts, *(["as a chat"] if chat else [])])


class _One:
    """One run: a task, group or tag of lm-eval, and one model."""

    def __init__(
        self, context: JobContext, plan: Plan, name: str, include: str | None, shots: int | None,
        chat: bool, allow_code: bool, url: str | None,
    ) -> None:  # fmt: skip
        self.plan, self.share = plan, (0, 1)
        self._context, self._name, self._include, self._shots = context, name, include, shots
        self._chat, self._allow_code, self._url = chat, allow_code, url
        text = json.dumps([asdict(plan), include, allow_code], sort_keys=True, default=str)
        self.key = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]

    def run(self) -> Run:
        """The finished run. Raises WorkbenchError; what was answered until then is kept."""
        leaves = tasks_of.leaves(self._name, self._include)
        for leaf in leaves:
            tasks_of.check(leaf, allow_code=self._allow_code)
        hub = ", ".join(sorted({leaf.data for leaf in leaves} - {""}))
        where = f", from huggingface.co where it is not here ({hub[:200]})" if hub else ""
        self._say(0.0, f"{self._name}: reading its data{where}")
        tasks = tasks_of.load(self._name, self._include, shots=self._shots)
        facts, canary = asyncio.run(self._prepare({self._mode(task) for task in tasks.values()}))
        rows = self._rows(tasks, canary)
        run = begin_run(
            self.plan, digest=facts["digest"], tasks=rows, suite=self.plan.suite, facts=facts,
            job=self._context.id, cell=self.key,
        )  # fmt: skip
        if run.digest != facts["digest"]:
            raise BenchError(
                f"{self.plan.model} is another model than when this run began. Begin a new run."
            )
        run = note_run(run, canary=asdict(canary), tasks=rows)
        try:
            return self._evaluate(run, tasks)
        except JobCancelled:
            note_run(run, state="stopped", ended_at=datetime.now(UTC))
            raise
        except Exception as error:  # lm-eval and its tasks raise anything
            known = isinstance(error, WorkbenchError)
            words = str(error) if known else f"lm-eval failed: {type(error).__name__}: {error}"
            note_run(run, state="failed", error=words[:2000], ended_at=datetime.now(UTC))
            if known:
                raise
            raise BenchError(words[:500]) from error

    async def _prepare(self, modes: set[Mode]) -> tuple[dict[str, Any], Canary]:
        model = self.plan.model
        async with await aconnect(self._url) as engine:
            details = await engine.show(model)
            await engine.load(model, options=self.plan.options)
            self._say(0.0, f"{model}: how can it be asked?")
            canary = await probe(engine, model, modes, options=self.plan.options)
            found = asdict(await setting(engine, model, details, self.plan.options))
        found["libraries"]["lm-eval"] = version("lm-eval")
        return found, canary

    def _mode(self, task: Any) -> Mode:
        return _MODES.get(str(task.OUTPUT_TYPE), "chat" if self._chat else "complete")

    def _rows(self, tasks: Mapping[str, Any], canary: Canary) -> list[dict[str, Any]]:
        """What the run says of its tasks, and how each is asked or why it is not."""
        group, rows = tasks_of.sized(self._name, self._include), []
        for name, task in tasks.items():
            mode, usable = self._mode(task), canary.verdict(self._mode(task))
            likely = mode in {"choice", "perplexity"}
            refused = usable.reason if usable.how != "as asked" else ""
            if likely and self._chat:
                refused = "Log-likelihoods are told of bare texts only: measure it without chat."
            try:
                options_of(dict(task.get_config("generation_kwargs") or {}))
            except TaskError as error:
                refused = f"It wants what {error}."
            count = min(self.plan.limit or 10**9, len(task.eval_docs))
            rows.append({
                "name": name, "title": str(task.get_config("task_alias") or name), "mode": mode,
                "weight": float(count) if group else 1.0, "metric": "", "count": count,
                "fingerprint": "", "how": "likelihood" if likely else "asked",
                "refused": refused, "label": "", "note": usable.reason,
            })  # fmt: skip
        return rows

    def _evaluate(self, run: Run, tasks: Mapping[str, Any]) -> Run:
        from lm_eval.evaluator import evaluate

        asked = {one["name"]: tasks[one["name"]] for one in run.tasks if not one["refused"]}
        if not asked:
            raise BenchError(f"{self._name} cannot be asked: {run.tasks[0]['refused']}")
        slots = self.plan.parallel or run.facts.get("slots") or SLOTS
        asker = Asker(
            self.plan, self._url, self._context.folder, slots=slots, chat=self._chat,
            context=run.facts.get("context"), told=self._told,
        )  # fmt: skip
        heard = asyncio.run(self._listen())
        found = evaluate(
            asker.model(), {"tasks": asked}, limit=self.plan.limit, bootstrap_iters=0,
            apply_chat_template=self._chat, fewshot_as_multiturn=self._chat,
            confirm_run_unsafe_code=self._allow_code,
        )  # fmt: skip
        rows = []
        for row in run.tasks:
            if row["refused"]:
                rows.append(row)
                continue
            samples, better = found["samples"][row["name"]], found["higher_is_better"][row["name"]]
            metric = metric_of(row["mode"], samples, better)
            told = {k: v for k, v in found["results"][row["name"]].items() if "stderr" not in k}
            for answer in answers_of(row, samples, metric, asker.replies):
                save_answer(run, answer)
            note = row["note"] if metric else f"{row['note']} No figure is told for single answers."
            rows.append({
                **row, "metric": metric or "none", "note": note.strip(), "lm_eval": told,
                "fingerprint": fingerprint(samples, found["configs"][row["name"]]),
            })  # fmt: skip
        facts = {**run.facts, **asyncio.run(self._heard(heard))}
        run = note_run(run, tasks=rows, facts=facts)
        return summarise(note_run(run, state="done", error=None, ended_at=datetime.now(UTC)))

    async def _listen(self) -> tuple[Any, ...]:
        engine = await aconnect(self._url)
        await engine.close()
        return load_average(), clocks(engine.url)

    async def _heard(self, before: tuple[Any, ...]) -> dict[str, Any]:
        """What else the machine did meanwhile, and what the model holds."""
        load, then = before
        async with await aconnect(self._url) as engine:
            found = noise(load, then, then, clocks(engine.url))
            return {"noise": asdict(found), "memory": asdict(await memory(engine, self.plan.model))}

    def _told(self, done: int, all: int) -> None:
        self._context.check_cancelled()
        words = f"{self.plan.model}: {self._name}, {done} of {all} answers"
        self._say(0.95 * done / max(1, all), words)

    def _say(self, share: float, words: str) -> None:
        number, cells = self.share
        self._context.progress((number + share) / cells, words)
