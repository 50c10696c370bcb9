"""An engine as a model of lm-eval: its requests become our questions, asked as our tasks ask them.

`generate_until` is a completion of the bare prompt, or a chat; `loglikelihood` and
`loglikelihood_rolling` are the engine's exact log-likelihoods, never guesses from written text.
lm-eval hands over all requests at once and scores at the end, so each reply is written into the
job's folder at the moment it is there: who goes on after a kill asks only for the others.

A text that is longer than the context is halved until its parts fit; each later part is told
behind the last 32 characters before it. lm-eval's own models tell such a part behind one token.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from workbench.bench import Answer, How, Plan, ask
from workbench.engines import AsyncEngine, aconnect
from workbench.errors import (
    EngineBusy,
    EngineError,
    EngineUnreachable,
    ModelNotFound,
    NotEnoughMemory,
    TaskError,
)
from workbench.scorers import Mode, Sample
from workbench.tasks import Task

LONGEST = 256  # tokens of an answer where a task does not say; lm-eval's
_BEFORE = 32  # characters
_NONE = -1e9
_PATIENCE = 30  # tries, one a second, while an engine is busy or comes back
_NAMES = {
    "max_gen_toks": "num_predict", "max_new_tokens": "num_predict", "max_tokens": "num_predict",
    "until": "stop", "repetition_penalty": "repeat_penalty",
}  # fmt: skip
_SAME = ("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "seed")
_VOID: dict[str, tuple[Any, ...]] = {"do_sample": (), "num_beams": (1,), "early_stopping": ()}
Request = Any  # lm_eval.api.instance.Instance


def options_of(wanted: dict[str, Any]) -> dict[str, Any]:
    """A task's generation settings as the engine's options. Raises TaskError for unknown ones."""
    found: dict[str, Any] = {"num_predict": LONGEST, "temperature": 0}
    for name, value in wanted.items():
        if name in _VOID:
            if _VOID[name] and value not in _VOID[name]:
                raise TaskError(f"an engine cannot generate with {name} = {value!r}")
        elif name in _NAMES or name in _SAME:
            found[_NAMES.get(name, name)] = value
        else:
            raise TaskError(f"an engine has no generation setting {name!r}")
    if wanted.get("do_sample") is False:
        found["temperature"] = 0
    stop = found.get("stop") or []
    found["stop"] = [stop] if isinstance(stop, str) else [one for one in stop if one]
    return found


class Asker:
    """Asks what lm-eval wants to know. `replies` has what came, by task and number of sample."""

    def __init__(
        self, plan: Plan, url: str | None, folder: Path, *, slots: int, context: int | None,
        chat: bool, told: Callable[[int, int], None],
    ) -> None:  # fmt: skip
        self.replies: dict[tuple[str, int], list[Answer]] = defaultdict(list)
        self._plan, self._url, self._slots, self._context = plan, url, slots, context
        self._chat, self._told = chat, told
        self._file = folder / f"lm-eval-{_hash(asdict(plan))[:16]}.jsonl"
        self._kept = dict(_read(self._file))
        self._engine: AsyncEngine | None = None
        self._done = self._all = 0

    def model(self) -> Any:
        """This as lm-eval's kind of model."""
        from lm_eval.api.model import LM

        asker = self

        class EngineModel(LM):  # type: ignore[misc]
            tokenizer_name = "engine"

            def generate_until(self, requests: list[Request]) -> list[str]:
                return [found[0].output for found in asker.ask([[one] for one in requests])]

            def loglikelihood(self, requests: list[Request]) -> list[tuple[float, bool]]:
                found = asker.ask(_by_context(requests))
                return [pair for (answer,) in found for pair in _pairs(answer)]

            def loglikelihood_rolling(self, requests: list[Request]) -> list[float]:
                found = asker.ask([[one] for one in requests])
                return [sum(total for one in parts for total, _ in _pairs(one)) for parts in found]

            def apply_chat_template(
                self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
            ) -> str:
                return json.dumps(chat_history, ensure_ascii=False)

        return EngineModel()

    def ask(self, works: Sequence[list[Request]]) -> list[list[Answer]]:
        """The replies to groups of requests, in their order. Raises EngineError, JobCancelled."""
        self._all += len(works)
        return asyncio.run(self._ask_all(works))

    async def _ask_all(self, works: Sequence[list[Request]]) -> list[list[Answer]]:
        found: list[list[Answer]] = [[]] * len(works)
        often: Counter[str] = Counter()
        questions = []
        for place, requests in enumerate(works):
            key = _key(requests)
            questions.append((place, requests, f"{key}-{often[key]}"))
            often[key] += 1
        waiting = iter(questions)

        async def work() -> None:
            for place, requests, key in waiting:
                self._told(self._done, self._all)
                if key not in self._kept:
                    answers = await self._asked(requests, key)
                    await asyncio.to_thread(_write, self._file, key, answers)
                    self._kept[key] = answers
                found[place] = self._kept[key]
                self._done += 1

        self._engine = await aconnect(self._url)
        workers = [asyncio.ensure_future(work()) for _ in range(self._slots)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            await self._engine.close()
        for (first, *_), answers in zip(works, found, strict=True):
            self.replies[str(first.task_name), int(first.doc_id)] += answers
        return found

    async def _asked(self, requests: Sequence[Request], key: str) -> list[Answer]:
        """The answer, or those to the parts of a text that is too long for one."""
        first = requests[0]
        name, id = str(first.task_name), f"{first.doc_id}-{key[-8:]}"
        if first.request_type == "loglikelihood_rolling":
            return await self._rolled(name, id, str(first.args[0]), "")
        if first.request_type == "loglikelihood":
            texts = tuple(str(one.args[1]) for one in requests)
            sample = Sample(id, str(first.args[0]), 0, texts)
            return [await self._patiently(_task(name, "choice"), sample, "likelihood")]
        prompt, wanted = first.args[:2]
        task, sample = self._question(name, id, str(prompt), options_of(dict(wanted)))
        return [self._whole(await self._patiently(task, sample, "asked"))]

    def _question(
        self, name: str, id: str, prompt: str, options: dict[str, Any]
    ) -> tuple[Task, Sample]:
        if not self._chat:
            return _task(name, "complete", options=options), Sample(id, prompt)
        turns = json.loads(prompt)
        system = turns.pop(0)["content"] if turns[0]["role"] == "system" else ""
        said = [turn["content"] for turn in turns]
        if len(said) % 2 == 0:
            raise TaskError(f"{name} begins the answer itself, which a chat cannot.")
        shots = tuple(zip(said[:-1:2], said[1::2], strict=True))
        task = _task(name, "chat", system=system, shots=shots, options=options)
        return task, Sample(id, said[-1])

    def _whole(self, answer: Answer) -> Answer:
        """An answer to a prompt that was cut is none."""
        read = answer.figures.get("prompt_tokens") or 0
        if self._context and read >= self._context - 1:
            return replace(
                answer, error=f"The prompt is longer than the context of {self._context} tokens, "
                "of which it filled all. Raise num_ctx.",
            )  # fmt: skip
        return answer

    async def _rolled(self, name: str, id: str, text: str, before: str) -> list[Answer]:
        sample = Sample(id, before, text)
        answer = await self._patiently(_task(name, "perplexity"), sample, "likelihood")
        if len(text) < 2 or "context length" not in (answer.error or ""):
            return [answer]
        at = text.rfind(" ", len(text) // 4, len(text) // 2)
        at = at if at > 0 else len(text) // 2
        head, tail = text[:at], text[at:]
        return [
            *await self._rolled(name, id, head, before),
            *await self._rolled(name, id, tail, head[-_BEFORE:]),
        ]

    async def _patiently(self, task: Task, sample: Sample, how: How) -> Answer:
        """The answer, waiting for an engine that is busy or comes back."""
        assert self._engine is not None
        broken = 0
        for _ in range(_PATIENCE):
            try:
                return await ask(self._engine, self._plan, task, sample, how, None)
            except (ModelNotFound, NotEnoughMemory):
                raise
            except EngineBusy:
                await asyncio.sleep(1)
            except EngineUnreachable:
                await asyncio.sleep(1)
                if self._url is None:  # ours is started again where it ended
                    with suppress(EngineError):
                        self._engine = await aconnect()
            except EngineError as error:
                broken += 1
                if broken > 1 or error.status == 400:
                    about = {"prompt": sample.prompt, "choices": [*sample.choices]}
                    return Answer(task.name, sample.id, 0, about, how, error=str(error))
        raise EngineUnreachable(
            f"The engine did not come back within {_PATIENCE} tries. What was answered is kept: "
            "resume the job when it runs again."
        )


def _task(name: str, mode: Mode, **more: Any) -> Task:
    return Task(name, name, mode, (), make=lambda seed: (), **more)


def _by_context(requests: Sequence[Request]) -> list[list[Request]]:
    """Requests that go on from one text stand together: it is then read once."""
    found: list[list[Request]] = []
    for one in requests:
        last = found[-1][0] if found else None
        if last is not None and (last.task_name, last.doc_id, last.args[0]) == (
            one.task_name, one.doc_id, one.args[0]
        ):  # fmt: skip
            found[-1].append(one)
        else:
            found.append([one])
    return found


def _pairs(answer: Answer) -> list[tuple[float, bool]]:
    """(log-likelihood, greedy) of each text; any number stands for what has none for an error."""
    if answer.error is not None:
        return [(_NONE, False)] * max(1, len(answer.about.get("choices") or ()))
    return list(zip(answer.figures["logprobs"], answer.figures["greedy"], strict=True))


def _key(requests: Sequence[Request]) -> str:
    first = requests[0]
    return _hash([first.request_type, first.task_name, first.doc_id, [r.args for r in requests]])


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _read(file: Path) -> list[tuple[str, list[Answer]]]:
    """What an earlier attempt has left; a last line that was cut off is none."""
    left = file.read_bytes() if file.exists() else b""
    if left and not left.endswith(b"\n"):
        file.write_bytes(left[: left.rfind(b"\n") + 1])
    found = []
    for line in left.splitlines():
        with suppress(ValueError, TypeError):
            entry = json.loads(line)
            found.append((entry["key"], [Answer(**one) for one in entry["answers"]]))
    return found


def _write(file: Path, key: str, answers: Sequence[Answer]) -> None:
    line = json.dumps({"key": key, "answers": [asdict(one) for one in answers]})
    with file.open("ab") as out:
        out.write(line.encode("utf-8", "replace") + b"\n")
