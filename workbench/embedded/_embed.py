"""Texts as vectors of norm 1, in the order of the texts."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from workbench.embedded._prompt import Ask, tokenize
from workbench.embedded._runner import Runner
from workbench.embedded._scheduler import Scheduler
from workbench.errors import InvalidRequest


async def embed(
    scheduler: Scheduler,
    ask: Ask,
    texts: Sequence[str],
    *,
    truncate: bool = True,
    dimensions: int = 0,
) -> dict[str, Any]:
    """`embeddings` with their costs, in the protocol's words. No texts only load the model."""
    if "embedding" not in ask.model.capabilities:
        raise InvalidRequest(
            f"{ask.model.name.display()} does not support embeddings; use an embedding model "
            "such as all-minilm",
            400,
        )
    started = time.perf_counter_ns()
    async with scheduler.use(ask.model, ask.options, ask.keep_alive) as runner:
        loaded = time.perf_counter_ns()
        answer: dict[str, Any] = {}
        if texts:
            inputs = [await _fitted(runner, text, truncate) for text in texts]
            answer = await runner.call("/v1/embeddings", {"input": inputs})
            if runner.watch is not None:
                runner.watch.computed(int(answer.get("usage", {}).get("prompt_tokens", 0)))
    items = sorted(answer.get("data", []), key=lambda item: int(item["index"]))
    return {
        "embeddings": [_normalised(item["embedding"], dimensions) for item in items],
        "total_duration": time.perf_counter_ns() - started,
        "load_duration": loaded - started,
        "prompt_eval_count": int(answer.get("usage", {}).get("prompt_tokens", 0)),
    }


async def _fitted(runner: Runner, text: str, truncate: bool) -> str | list[int]:
    """The text, or its tokens cut at the end, with what must end a text put back."""
    limit = runner.settings.num_ctx
    if len(text.encode("utf-8", "replace")) + 8 < limit:
        return text  # a token is at least a byte
    text_start = text[: limit * 128]  # no token is longer: the rest need not be looked at
    tokens = await tokenize(runner, text_start)
    if len(tokens) <= limit and len(text_start) == len(text):
        return tokens
    if not truncate:
        raise InvalidRequest("the input length exceeds the context length", 400)
    plain = await tokenize(runner, text_start, special=False)
    ends = tokens[-1:] if tokens[-1:] != plain[-1:] else []
    return tokens[: limit - len(ends)] + ends


def _normalised(vector: Sequence[float], dimensions: int) -> list[float]:
    """The first `dimensions` numbers (0: all), scaled to norm 1."""
    cut = vector[:dimensions] if dimensions > 0 else vector
    norm = math.sqrt(math.fsum(x * x for x in cut))
    return [x / norm for x in cut] if norm else list(cut)
