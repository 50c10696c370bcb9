"""The canary's probes of numbers: log-probabilities, and how much of a prompt is read.

A server may answer log-probabilities that are made up, belong to other tokens, or are all the
same; every task by log-likelihood is then at chance, and nothing says so. So they must be
possible (at most 0, in order, at most 1 together), agree with what the model writes, and tell a
sentence from its own words shuffled.

The context is probed with prompts of n rounds of the same words, each round in a new order: n
rounds make a + n * b tokens, so tokens that were not read are missing from the count.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.errors import InvalidRequest
from workbench.meter._asking import filler, loaded
from workbench.meter._probes import PROMPT, Found, Subject
from workbench.types import Likelihood

READING = 20.0  # seconds that a probe's prompt may take to be read
_LOOSE = 0.02  # what log-probabilities of two computations may differ by, of themselves
_SENTENCES = (
    "The capital of France is Paris, and the capital of Italy is Rome.",
    "He opened the door, went into the house and sat down at the table.",
    "for i in range(10):\n    total = total + i\n    print(i, total)",
    "In winter it is cold, and in summer the days are long and warm.",
)


async def logprobs(it: Subject) -> Found:
    """Whether the log-probabilities of generated tokens can be true."""
    reply = await it.ask(PROMPT, logprobs=5, num_predict=8)
    rows = [(_number(row.get("logprob")), [p for _, p in _top(row)]) for row in reply.logprobs]
    if not rows:
        return "unknown", "The engine tells no log-probabilities of what it writes."
    wrong = _impossible([value for row in rows for value in (row[0], *row[1])])
    texts = {row.get("token") for row in reply.logprobs}
    if not wrong and len(texts) > 2 and len({value for value, _ in rows}) == 1:
        wrong = "all tokens are equally likely"
    for value, top in rows if not wrong else ():
        if top != sorted(top, reverse=True) or sum(map(math.exp, top)) > 1 + _LOOSE:
            wrong = "the likeliest tokens are not in order, or likelier than 1 together"
        elif top and value < top[0] - _LOOSE * (1 - top[0]):
            wrong = "at temperature 0 it does not write the token that it calls the likeliest"
    if wrong:
        return "bad", f"Log-probabilities cannot be true: {wrong}."
    return "ok", f"Log-probabilities of {len(rows)} tokens are sane."


async def likelihood(it: Subject) -> Found:
    """Whether texts' log-likelihoods can be true, agree with what is written, and mean something.

    A sentence must be likelier than its own words shuffled; where fewer than three of four are,
    scores are near chance, by the engine's fault or the model's.
    """
    texts = [text for one in _SENTENCES for text in (one, _shuffled(one))]
    found = await _score(it, "", texts)
    sums = [one.logprob for one in found]
    wrong = _impossible([value for one in found for value in (one.logprob, *one.token_logprobs)])
    if not wrong and len(set(sums)) == 1:
        wrong = "all texts are equally likely, which is exactly chance"
    elif not wrong and any(_differ(math.fsum(one.token_logprobs), one.logprob) for one in found):
        wrong = "a text's sum is not that of its tokens"
    if wrong := wrong or await _unlike_writing(it):
        return "bad", f"Log-likelihoods cannot be true: {wrong}."
    won = sum(right > shuffled for right, shuffled in zip(sums[::2], sums[1::2], strict=True))
    words = f"{won} of {len(_SENTENCES)} sentences are likelier than their own words shuffled."
    return "ok" if won > 2 else "warn", words


async def _unlike_writing(it: Subject) -> str:
    """How scores of next tokens disagree with what the model writes; "" when they agree."""
    reply = await it.ask(PROMPT, logprobs=5, num_predict=1)
    rows = _top(reply.logprobs[0]) if reply.logprobs else []
    top = {text: value for text, value in rows if text.strip() and "\ufffd" not in text}
    found = await _score(it, PROMPT, list(top)) if top else ()
    single = [one for one in found if one.tokens == 1]
    if sum(math.exp(min(0.0, one.logprob)) for one in single) > 1 + _LOOSE:
        return "the next tokens are likelier than 1 together"
    for one in single:
        if _differ(one.logprob, top[one.text], 0.1):
            said = f"{one.logprob:.2f} when scored and {top[one.text]:.2f} when written"
            return f"{one.text!r} has {said}"
    return ""


async def _score(it: Subject, prompt: str, texts: Sequence[str]) -> tuple[Likelihood, ...]:
    async with asyncio.timeout(it.patience):
        return await it.engine.score(it.model, prompt, texts, options=it.options)


async def context(it: Subject) -> Found:
    """How many tokens are read of a prompt that nearly fills the context."""
    asked = it.options.get("num_ctx")
    async with asyncio.timeout(it.patience):
        row = await loaded(it.engine, it.model)
    it.context = told = (row.context_length if row else None) or asked
    if not told:
        return "unknown", "The engine does not tell how large its context is."
    few, more = await it.count(filler(2)), await it.count(filler(4))
    begun = time.perf_counter()
    most = await it.count(filler(6))
    speed = most / (time.perf_counter() - begun)
    each = (more - few) / 2
    if not few or each <= 0 or abs(most - more - 2 * each) > 4:
        return "unknown", "How much is read cannot be told: counts of tokens do not add up."
    it.counting = few - 2 * each, each, speed
    sent, seen = await _read(it, min(0.85 * told, speed * READING))
    if _missing(sent, seen):
        it.context = min(seen, told)
        words = f"Of {sent} tokens only {seen} were read, though the context is told as {told}."
        return "bad", words
    words = f"The context is told as {told} tokens; a prompt of {sent} was read whole."
    words += " Longer ones take too long to try." if sent < 0.7 * told else ""
    if isinstance(asked, int) and asked > told:
        return "warn", f"{words} {asked} were asked for."
    return "ok", words


async def truncation(it: Subject) -> Found:
    """Whether a prompt that is longer than the context is refused, or cut in silence."""
    told = it.context
    if it.counting is None or not told:
        return "unknown", "Without sane counts of tokens it cannot be seen what is cut."
    if 1.3 * told > it.counting[2] * READING:
        return "unknown", f"Not tried: reading {told} tokens takes more than {READING:g} s."
    try:
        sent, seen = await _read(it, 1.3 * told)
    except InvalidRequest as error:
        return "ok", f"A prompt that is too long is refused: {error}"
    if not seen:
        return "unknown", "The engine does not tell what it read of a prompt that is too long."
    if not _missing(sent, seen):
        return "ok", f"{sent} tokens were read whole: the context is larger than told."
    return "warn", f"Of {sent} tokens {seen} were read; the others were dropped without a word."


async def _read(it: Subject, tokens: float) -> tuple[int, int]:
    """Tokens of a prompt of about this length, as it should have and as the engine counts."""
    rest, each, _ = it.counting or (0.0, 1.0, 0.0)
    rounds = max(1, round((tokens - rest) / each))
    return round(rest + rounds * each), await it.count(filler(rounds))


def _missing(sent: int, seen: int) -> bool:
    return abs(sent - seen) > max(4, 0.02 * sent)


def _differ(one: float, other: float, least: float = _LOOSE) -> bool:
    return abs(one - other) > least + _LOOSE * abs(other)


def _top(row: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The likeliest tokens of a row and their log-probabilities, in its order."""
    top = row.get("top_logprobs")
    rows = [one for one in top if isinstance(one, dict)] if isinstance(top, list) else []
    return [(str(one.get("token")), _number(one.get("logprob"))) for one in rows]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _impossible(values: Sequence[float]) -> str:
    if not all(map(math.isfinite, values)):
        return "some are no finite numbers"
    return "some are above 0" if max(values, default=0.0) > 1e-4 else ""


def _shuffled(text: str) -> str:
    words = text.split()
    random.Random(3).shuffle(words)  # noqa: S311
    return " ".join(words)
