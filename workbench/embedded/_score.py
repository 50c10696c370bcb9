"""Log-likelihoods of given texts: how likely a model would go on from a prompt in these words.

llama.cpp's server tells log-probabilities of tokens that it writes, not of those that it reads.
So it is made to write the given tokens: biases lift them above all others, the first one
highest, and a penalty drops each once it is written. Biases and penalty touch only what is
chosen; the log-probabilities come from the softmax over all raw logits. What was written is
compared with what was wanted. A grammar of the same tokens would do, but it walks through the
whole vocabulary at each step: with 150,000 tokens that took more than three times as long.

Within the reach of the penalty no token may come twice, so a text is written in runs; the
slot's cache holds what came before. llama.cpp keeps silent about a token that ends inside a
character: that one is looked up among the likeliest at its place, while another is written.
Numbers of 32 bits end at e^-103, so no token counts as less likely than e^-104.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from workbench.embedded._measure import watched
from workbench.embedded._prompt import Ask
from workbench.embedded._runner import Event, Runner
from workbench.embedded._scheduler import Scheduler
from workbench.errors import EngineError, InvalidRequest

_LEAST = -104.0  # nats
_LONGEST_RUN = 512  # tokens
_LONGEST_TOKEN = 128  # characters
_LIFT = 1e4  # between the biases of two tokens; no logit comes near it
_LOOK = (2**8, 2**14, 2**20)  # how many of the likeliest tokens are looked through
Told = tuple[float, bool]  # a token's log-probability, and whether no other is likelier


async def score(scheduler: Scheduler, ask: Ask, continuations: Sequence[str]) -> Event:
    """`likelihoods` in the order of the texts, and costs. No texts only load the model.

    Raises InvalidRequest when the prompt and a text are longer than the context.
    """
    started = time.perf_counter_ns()
    async with scheduler.use(ask.model, ask.options, ask.keep_alive) as runner:
        plain, marked = await _encode(runner, "a"), await _encode(runner, "a", special=True)
        begin = marked[:1] if marked[:1] != plain[:1] else []
        prompt = await _fitting(runner, begin, ask.prompt.rstrip())
        texts = [
            await _fitting(runner, begin, ask.prompt + text) if text else []
            for text in continuations
        ]
        scorer = _Scorer(runner, harmless=plain[-1])
        with watched(runner, plain=False):  # answers beside it are not alone
            told = [await scorer.tell(prompt, tokens) for tokens in texts]
        if runner.watch is not None and scorer.computed:
            runner.watch.computed(scorer.longest, 0, scorer.computed - scorer.longest)
    return {
        "likelihoods": [_entry(*one) for one in zip(continuations, told, strict=True)],
        "prompt_eval_count": len(prompt),
        "total_duration": time.perf_counter_ns() - started,
    }


async def _fitting(runner: Runner, begin: list[int], text: str) -> list[int]:
    """The tokens of a text from its beginning. Raises InvalidRequest when they are too many."""
    limit = runner.settings.num_ctx
    enough = text[: limit * _LONGEST_TOKEN + 1]  # to see that it is too long
    tokens = begin + await _encode(runner, enough)
    if len(tokens) > limit:
        raise InvalidRequest(
            f"the prompt with a continuation exceeds the context length of {limit} tokens; "
            "shorten them or set a larger num_ctx",
            400,
        )
    return tokens


async def _encode(runner: Runner, text: str, *, special: bool = False) -> list[int]:
    """The tokens of a text; what looks like a special token in it is text."""
    body = {"content": text, "add_special": special, "parse_special": False}
    return list((await runner.call("/tokenize", body))["tokens"])


@dataclass(slots=True)
class _Scorer:
    """Makes a child write what is to be scored."""

    runner: Runner
    harmless: int  # a token of whole characters, which does not end a text
    longest: int = 0  # tokens that were read at once
    computed: int = 0  # tokens that were read or written

    async def tell(self, prompt: list[int], tokens: list[int]) -> list[Told]:
        """What is told of the tokens from where they and the prompt's differ."""
        pairs = zip(prompt, tokens, strict=False)
        at = max(1, sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)))
        found: list[Told] = []
        distances = _distances(tokens)
        while at < len(tokens):
            wanted = tokens[at : at + _run(distances[at : at + _LONGEST_RUN])]
            answer = await self._write(tokens[:at], wanted)
            entries = {entry["id"]: entry for entry in answer.get("completion_probabilities") or ()}
            for token in answer["tokens"]:  # fewer than wanted, where one of them ends texts
                if token in entries:
                    found.append(_read(entries[token], entries[token]["top_logprobs"][0]))
                else:
                    found.append(await self._look_up(tokens[:at], token))
                at += 1
        return found

    async def _look_up(self, before: list[int], token: int) -> Told:
        """What is not told of a token when it is written."""
        for many in _LOOK:
            answer = await self._write(before, [self.harmless], many)
            likeliest = answer["completion_probabilities"][0]["top_logprobs"]
            for entry in likeliest:
                if entry["id"] == token:
                    return _read(entry, likeliest[0])
        raise EngineError(f"llama.cpp tells no probability of the token {token}", 500)

    async def _write(self, before: list[int], wanted: list[int], many: int = 1) -> Event:
        """Have these tokens written, each with the `many` likeliest ones at its place."""
        body = {
            "prompt": before, "n_predict": len(wanted), "cache_prompt": True, "stop": [],
            "n_probs": many, "return_tokens": True, "samplers": ["penalties", "top_k"], "top_k": 1,
            "logit_bias": [[token, _LIFT * (len(wanted) - i)] for i, token in enumerate(wanted)],
            "presence_penalty": _LIFT * (len(wanted) + 1), "repeat_last_n": len(wanted) - 1,
            "repeat_penalty": 1.0, "frequency_penalty": 0.0,
        }  # fmt: skip
        answer: Event = await self.runner.call("/completion", body)
        written, read = answer["tokens"], int(answer["timings"]["prompt_n"])
        if not written or written != wanted[: len(written)]:
            raise EngineError("llama.cpp wrote other tokens than those to be scored", 500)
        self.longest = max(self.longest, read)
        self.computed += read + len(written)
        return answer


def _distances(tokens: Sequence[int]) -> list[int]:
    """How far before each token the same one stands; at least `_LONGEST_RUN` when none does."""
    last: dict[int, int] = {}
    found = []
    for place, token in enumerate(tokens):
        found.append(place - last.get(token, -_LONGEST_RUN))
        last[token] = place
    return found


def _run(distances: Sequence[int]) -> int:
    """How many tokens can be written in one call.

    The penalty reaches back by one less, at first into what was read; none may come again there.
    """
    reach = _LONGEST_RUN
    for length, distance in enumerate(distances):
        reach = min(reach, distance)
        if length >= reach:
            return length
    return len(distances)


def _read(entry: Event, best: Event) -> Told:
    return max(_LEAST, entry["logprob"]), entry["logprob"] >= best["logprob"]


def _entry(text: str, told: list[Told]) -> Event:
    """A text's likelihood in the answer."""
    logprobs = [logprob for logprob, _ in told]
    return {
        "text": text,
        "logprob": math.fsum(logprobs),
        "tokens": len(told),
        "greedy": all(greedy for _, greedy in told),
        "token_logprobs": logprobs,
    }
