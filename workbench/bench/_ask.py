"""One question to one model: as the task asks it, or as it can be asked honestly.

`how` says which: *asked* is a chat, a completion or a gap; *likelihood* lets the model choose by
the log-probability of given texts; *generative* is what stands in where the engine or the model
cannot do what the task wants: a choice becomes a question with letters, a chat without a template
becomes a plain completion. Answers that were got in different ways are never compared.
"""

from __future__ import annotations

import hashlib
import string
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, replace
from typing import Any

from workbench.bench._records import Answer, How, Plan
from workbench.engines import AsyncEngine, collect
from workbench.scorers import Sample
from workbench.tasks import Task
from workbench.types import Chunk, Message, Reply

LONGEST = 1_000_000  # characters of an answer that are kept; what goes on is stopped


def options_of(task: Task, sample: Sample, plan: Plan, context: int | None) -> dict[str, Any]:
    """What is sent with the question: greedy unless the task or the plan wants otherwise."""
    options = {"temperature": 0, **task.options, **plan.options}
    if context and "num_ctx" not in plan.options:
        options["num_ctx"] = context
    if options["temperature"] and "seed" not in options:  # the same draw for every model
        text = f"{plan.seed} {task.name} {sample.id}"
        options["seed"] = int(hashlib.sha256(text.encode()).hexdigest()[:7], 16)
    return options


def wanted_context(tasks: Sequence[Task]) -> int | None:
    """The longest context that one of the tasks wants: one load then serves them all."""
    return max((int(task.options.get("num_ctx", 0)) for task in tasks), default=0) or None


def reads_once(task: Task, samples: Sequence[Sample], slots: int) -> bool:
    """Whether one request at a time is quicker: each slot has to read what the prompts share.

    Reading it for the other slots costs (slots - 1) x shared tokens; asking at once saves about
    half of writing, whose tokens cost one and a half times as much as those that are read
    (measured on two cores; a character is a quarter of a token).
    """
    prompts = [sample.prompt for sample in samples]
    first, last = min(prompts), max(prompts)
    common = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    shared = (len(task.system) + sum(len(q) + len(a) for q, a in task.shots) + common) / 4
    weighed = sum(len(text) for text in samples[0].choices) / 4
    written = weighed if task.mode == "choice" else task.options.get("num_predict", 128)
    return len(samples) > 1 and (slots - 1) * shared > 0.75 * len(samples) * written


def about_of(sample: Sample) -> dict[str, Any]:
    """What an answer keeps of its question."""
    told = asdict(sample) | {"choices": [*sample.choices], "more": dict(sample.more)}
    return {name: value for name, value in told.items() if name != "id"}


async def ask(
    engine: AsyncEngine, plan: Plan, task: Task, sample: Sample, how: How, context: int | None
) -> Answer:
    """The model's answer, not yet scored. Raises EngineError."""
    options = options_of(task, sample, plan, context)
    kept = Answer(task.name, sample.id, 0, about_of(sample), how)
    if how == "likelihood":
        return await _weigh(engine, plan.model, task, sample, options, kept)
    begun = time.perf_counter()
    chunks, first, length = [], None, 0
    async for chunk in _asked(engine, plan.model, task, sample, how, options):
        if first is None and (chunk.text or chunk.thinking):
            first = time.perf_counter() - begun
        length += len(chunk.text) + len(chunk.thinking)
        chunks.append(chunk)
        if length > LONGEST:
            break
    if length > LONGEST:
        chunks.append(Chunk(done=True, done_reason="cut"))
    reply = collect(chunks)
    figures = _figures(reply, time.perf_counter() - begun, first)
    text, thinking = reply.text[:LONGEST], reply.thinking[:LONGEST]
    return replace(kept, output=text, thinking=thinking, figures=figures)


def _asked(
    engine: AsyncEngine, model: str, task: Task, sample: Sample, how: How, options: dict[str, Any]
) -> AsyncGenerator[Chunk, None]:
    prompt = lettered(sample) if task.mode == "choice" else sample.prompt
    if task.mode == "insert":
        return engine.stream_generate(model, prompt, suffix=sample.suffix, options=options)
    if task.mode == "complete":
        prompt = "".join(f"{q}{a}\n\n" for q, a in task.shots) + prompt
        return engine.stream_generate(model, prompt, raw=True, options=options)
    if how == "generative" and task.mode == "chat":
        return engine.stream_generate(model, _plain(task, prompt), raw=True, options=options)
    turns = [Message("system", task.system)] if task.system else []
    for question, answer in task.shots:
        turns += [Message("user", question), Message("assistant", answer)]
    return engine.stream_chat(model, [*turns, Message("user", prompt)], options=options)


def _plain(task: Task, prompt: str) -> str:
    """A chat for a model that knows no turns."""
    head = f"{task.system}\n\n" if task.system else ""
    shots = "".join(f"Question: {q}\nAnswer: {a}\n\n" for q, a in task.shots)
    return f"{head}{shots}Question: {prompt}\nAnswer:"


def lettered(sample: Sample) -> str:
    """A choice as a question with letters, for engines that tell no log-likelihoods."""
    lines = [f"{s}) {c.strip()}" for s, c in zip(string.ascii_uppercase, sample.choices)]  # noqa: B905
    asked = "\n\nWhich of these goes on best?"
    return "\n".join([sample.prompt + asked, *lines, "Answer with the letter only."])


async def _weigh(
    engine: AsyncEngine,
    model: str,
    task: Task,
    sample: Sample,
    options: dict[str, Any],
    kept: Answer,
) -> Answer:
    texts = list(sample.choices) if task.mode == "choice" else [str(sample.target)]
    prompt = "".join(f"{q}{a}\n\n" for q, a in task.shots) + sample.prompt
    begun = time.perf_counter()
    found = await engine.score(model, prompt, texts, options=options)
    figures: dict[str, Any] = {
        "logprobs": [one.logprob for one in found],
        "bytes": [len(one.text.encode("utf-8", "replace")) for one in found],
        "counts": [one.tokens for one in found],
        "greedy": [one.greedy for one in found],
        "tokens": sum(one.tokens for one in found),
        "seconds": time.perf_counter() - begun,
    }
    sums = figures["logprobs"]
    output = texts[sums.index(max(sums))] if task.mode == "choice" else ""
    return replace(kept, output=output, figures=figures)


def _figures(reply: Reply, seconds: float, first: float | None) -> dict[str, Any]:
    """What the answer cost; times are seconds, by the engine's clock where it tells."""
    cost = reply.metrics
    return {
        "done_reason": reply.done_reason,
        "prompt_tokens": cost.prompt_eval_count,
        "prompt_seconds": cost.prompt_eval_duration / 1e9,
        "tokens": cost.eval_count,
        "generation_seconds": cost.eval_duration / 1e9,
        "first_token": first,
        "seconds": seconds,
    }
