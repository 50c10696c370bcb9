"""The canary's probes of texts: each asks a few short questions and says what the answers show.

Much is told by counts: how many tokens a prompt became (`prompt_eval_count`) shows whether a
template was applied and whether the token that begins a text came once, which no text shows.
The probes of numbers (log-probabilities, the context) are in `_numbers`.

Limits: an engine is seen from outside. A template that is applied may still be the wrong one,
and an engine that invents its counts is found out only where they do not add up.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.engines import AsyncEngine
from workbench.errors import InvalidRequest
from workbench.meter._asking import local
from workbench.types import ModelDetails, Reply

State = Literal["ok", "warn", "bad", "unknown"]
Found = tuple[State, str]  # and what was seen, in words

PROMPT = "Once upon a time there was a"
WRITTEN, ENDING = 24, 64  # tokens of a short answer; in which an answer of one word should end
_MARKS = re.compile(r"<\|\w+\|>|</s>|<end_of_turn>|<｜[^｜]+｜>")


@dataclass(slots=True)
class Subject:
    """The model that is probed, how it is asked, and what earlier probes learnt of it."""

    engine: AsyncEngine
    model: str
    options: Mapping[str, Any]
    patience: float  # seconds for one answer
    details: ModelDetails
    text: str = ""  # the answer to PROMPT at temperature 0
    around: int = 0  # special tokens that the engine puts around a prompt
    context: int | None = None  # tokens that are told, or fewer when fewer are read
    counting: tuple[float, float, float] | None = None  # see `_numbers.context`
    counts: dict[str, int] = field(default_factory=dict)

    async def ask(self, prompt: str, *, logprobs: int | None = None, **options: Any) -> Reply:
        """The bare prompt's continuation. Raises TimeoutError, EngineError."""
        more: Any = {"logprobs": True, "top_logprobs": logprobs} if logprobs else {}
        more["options"] = self.settings(options)
        async with asyncio.timeout(self.patience):
            return await self.engine.generate(self.model, prompt, raw=True, **more)

    async def chat(self, *turns: tuple[str, str], **options: Any) -> Reply:
        """The answer to a conversation. Raises TimeoutError, EngineError."""
        messages = [{"role": role, "content": text} for role, text in turns]
        async with asyncio.timeout(self.patience):
            return await self.engine.chat(self.model, messages, options=self.settings(options))

    async def count(self, prompt: str) -> int:
        """Tokens that the engine made of a bare prompt; 0 when it does not tell."""
        if prompt not in self.counts:
            reply = await self.ask(prompt, num_predict=1)
            self.counts[prompt] = max(0, reply.metrics.prompt_eval_count)
        return self.counts[prompt]

    def settings(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """A probe's options: nothing is to change which token is the likeliest."""
        plain = {"temperature": 0, "repeat_penalty": 1.0, "num_predict": WRITTEN, "stop": []}
        return {**self.options, **plain, **more}


async def answers(it: Subject) -> Found:
    """Whether anything comes back, and the limit of tokens is kept."""
    reply = await it.ask(PROMPT)
    it.text, tokens = reply.text, reply.metrics.eval_count
    if tokens > WRITTEN + 1:
        return "bad", f"Asked for {WRITTEN} tokens it wrote {tokens}: num_predict is not kept."
    if shown := " ".join((reply.text or reply.thinking).split()):
        return "ok", f"It goes on from a text: {shown[:60]!r}."
    told = "ended at once" if tokens <= 1 else f"wrote {tokens} tokens without text"
    return "warn", f"It {told} when it was to go on from a text."


async def beginning(it: Subject) -> Found:
    """Whether the token that begins a text (BOS) comes as often as the model wants it: once.

    A word alone makes b + t tokens, the word twice with a newline between b + 2t + 1; b is what
    the engine puts around every prompt.
    """
    facts = it.details.model_info
    one, two = await it.count("the"), await it.count("the\nthe")
    around = 2 * one - two + 1 - bool(facts.get("tokenizer.ggml.add_eos_token"))
    wanted = facts.get("tokenizer.ggml.add_bos_token")
    if not one or not two or not 0 <= around <= 3:
        return "unknown", "The engine's counts of tokens do not show how a text begins."
    it.around = around
    if around > 1:
        return "bad", f"A prompt begins with {around} special tokens instead of one."
    if not around and wanted is None:
        return (
            "ok",
            "No token that begins a text comes; the model's file does not say if it should.",
        )
    if wanted and not around:
        return "bad", "No token that begins a text comes first, though the model's file wants one."
    if wanted is False and around:
        return "warn", "A token that begins a text comes first, though the file wants none."
    begins = "comes once" if around else "is not wanted and does not come"
    return "ok", f"The token that begins a text {begins}."


async def template(it: Subject) -> Found:
    """Whether a chat reaches the model as a chat: its template adds tokens around the text."""
    bare, user = await it.count("the"), ("user", "the")
    chat = (await it.chat(user, num_predict=1)).metrics.prompt_eval_count
    long = (await it.chat(("system", "of"), user, num_predict=1)).metrics.prompt_eval_count
    if not bare or not chat:
        none = re.sub(r"\s", "", it.details.template) in {"", "{{.Prompt}}"}
        words = "This model has no chat template.", "The engine does not tell how long prompts are."
        return ("bad", words[0]) if none else ("unknown", words[1])
    if chat <= bare:
        return "bad", f"No template: a message of {bare} tokens reaches the model as {chat} tokens."
    added = f"The template adds {chat - bare} tokens to a message"
    twice = await _twice(it, chat) if it.around else False
    if twice:
        return "warn", "A chat begins twice: the template writes the token that the engine adds."
    if long <= chat:
        return "warn", f"{added}, but drops the system's text."
    doubt = "; whether a text then begins twice is not told" if twice is None else ""
    return "ok", f"{added}, and takes a system's text{doubt}."


async def _twice(it: Subject, chat: int) -> bool | None:
    """Whether a chat's text has BOS and gets another; None when that is not to be seen.

    `chat` is the tokens of the shortest chat, which has one more then than its text without BOS.
    """
    async with asyncio.timeout(it.patience):
        facts = (await it.engine.show(it.model, verbose=True)).model_info
    tokens, number = (facts.get(f"tokenizer.ggml.{name}") for name in ("tokens", "bos_token_id"))
    known = isinstance(tokens, list) and isinstance(number, int) and 0 <= number < len(tokens)
    bos = str(tokens[number]) if known else "bos_token"  # type: ignore[index]
    if bos not in it.details.template and "bos_token" not in it.details.template:
        return False
    text = await _rendered(it)
    if text is None or not known:
        return None
    return text.startswith(bos) and chat > await it.count(text.removeprefix(bos))


async def _rendered(it: Subject) -> str | None:
    """A chat's text, from an engine that renders without answering; None from others."""
    import httpx

    url, turn = f"{it.engine.url}/api/chat", {"role": "user", "content": "the"}
    body = {"model": it.model, "messages": [turn], "stream": False, "_debug_render_only": True}
    body["options"] = it.settings({"num_predict": 1})
    try:
        async with httpx.AsyncClient(timeout=it.patience, trust_env=not local(url)) as client:
            text = (await client.post(url, json=body)).json()["_debug_info"]["rendered_template"]
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return None
    return text if isinstance(text, str) else None


async def stop(it: Subject) -> Found:
    """Whether a stop string ends an answer and is not in it."""
    pairs = [it.text[n : n + 2] for n in range(1, len(it.text) - 1)]
    pairs = [pair for pair in pairs if pair.isprintable() and pair.strip() and "\ufffd" not in pair]
    if not pairs:
        return "unknown", "The answer is too short to be stopped."
    word = pairs[len(pairs) // 2]
    reply = await it.ask(PROMPT, stop=[word])
    if word in reply.text:
        return "bad", f"The stop string {word!r} did not end the answer that contains it."
    if reply.text.rstrip() == it.text[: it.text.find(word)].rstrip():
        return "ok", "A stop string ends an answer and is not in it."
    return "warn", "With a stop string the answer is another one, not the same one cut."


async def ending(it: Subject) -> Found:
    """Whether a chat's answer ends by itself, and its end mark is no text."""
    reply = await it.chat(("user", "Answer with one word: is water wet?"), num_predict=ENDING)
    if mark := _MARKS.search(reply.text):
        return "bad", f"The mark {mark[0]!r} stands in the answer as text."
    if not reply.text.strip():
        why = f"It only thought in {ENDING} tokens" if reply.thinking else "An answer is empty"
        return "warn", f"{why}: a limit of tokens must leave room for an answer."
    if reply.done_reason == "stop":
        return "ok", f"An answer ends by itself, after {reply.metrics.eval_count} tokens."
    if reply.done_reason == "length":
        return "warn", f"An answer of one word did not end within {ENDING} tokens."
    return "unknown", "The engine does not tell why an answer ended."


async def insert(it: Subject) -> Found:
    """Whether the model fills a gap, and reads what stands behind it."""
    before, options = "def add(a, b):\n", it.settings({"num_predict": 4})
    gap: Any = {"suffix": "\n    return total", "options": options}
    try:
        async with asyncio.timeout(it.patience):
            reply = await it.engine.generate(it.model, before, **gap)
    except InvalidRequest as error:
        return "bad", str(error)
    read, bare = reply.metrics.prompt_eval_count, await it.count(before)
    if not read or not bare:
        return "unknown", "The engine does not tell whether it reads what is behind a gap."
    if read <= bare:
        return "bad", "What stands behind a gap does not reach the model."
    return "ok", "What stands behind a gap reaches the model."


async def repeatable(it: Subject) -> Found:
    """Whether temperature 0 gives one answer: again and again, and beside other requests."""
    again = {(await it.ask(PROMPT)).text for _ in range(2)}
    prompts = [PROMPT, *(f"{number} {PROMPT}" for number in range(3))]
    beside, *_ = await asyncio.gather(*map(it.ask, prompts))
    if again != {it.text}:
        return "warn", "At temperature 0 the same prompt gets different answers."
    if beside.text != it.text:
        return "warn", "Temperature 0 gives one answer alone, another one beside other requests."
    return "ok", "Temperature 0 gives one answer, alone and beside other requests."


async def seed(it: Subject) -> Found:
    """Whether a seed gives its answer again, and another seed another one."""
    texts = [(await it.ask(PROMPT, temperature=1.0, seed=n)).text for n in (7, 7, 8, 9)]
    if texts[0] != texts[1]:
        return "warn", "One seed gives different answers."
    if len(set(texts)) == 1:
        words = "Three seeds gave one answer at temperature 1: they are not heard, answers come "
        return "warn", f"{words}from a cache, or the model is nearly certain."
    return "ok", "A seed gives its answer again, another seed another one."
