"""How fast: first token, reading and writing, many at once, loading, memory, energy.

Each figure is the median of repeats with its lowest and highest, after a warm-up, from prompts
that nobody has asked before, and carries its setting and what else the machine did. A curve of
throughput and latency comes from so many requests sent at once; an engine with fewer slots lets
some wait, which their first token shows. An encoder is measured by its texts and tokens.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.engines import AsyncEngine
from workbench.errors import BenchError, EngineError
from workbench.meter._asking import loaded
from workbench.meter._energy import POWERCAP, Meter
from workbench.meter._load import Asker, Figure, Timed, figure
from workbench.meter._setting import (
    Clocks,
    Memory,
    Noise,
    Setting,
    clocks,
    load_average,
    memory,
    noise,
    setting,
)

CONTEXTS = (128, 512, 2048)  # tokens of a prompt
PARALLEL = (1, 2, 4)  # requests at once
WRITTEN, REPEATS, TEXTS = 64, 3, 8  # tokens of an answer; texts of an encoder's request
_LOOK = 0.5  # seconds of looking at the machine before
_GOING = 30  # tenths of a second in which a model must have gone
Progress = Callable[[float, str], None]  # share that is done, what comes next


@dataclass(frozen=True, slots=True)
class Point:
    """Requests of one kind. Tokens per second, seconds; None where it cannot be told.

    `…_speed` is by the engine's own clock, `…_clock` by the client's. An encoder writes nothing:
    its requests are of `parallel` texts, and `total` counts texts.
    """

    parallel: int  # requests at once
    asked: int  # tokens that a prompt was to have
    read: int  # tokens that it had, by the engine
    written: int  # tokens of an answer
    first_token: Figure | None  # seconds from sending
    prompt_speed: Figure | None
    prompt_clock: Figure | None  # to the first token
    generation_speed: Figure | None
    generation_clock: Figure | None  # after the first token
    total: Figure | None  # written tokens per second of all at once, reading included
    joules: Figure | None  # per written token, reading included; of an encoder per token read
    failed: int = 0  # requests that the engine refused
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Loading:
    """Seconds to load the model, whose file the system may have had in memory."""

    seconds: float  # by the client's clock
    told: float | None  # by the engine


@dataclass(frozen=True, slots=True)
class Speed:
    """All that was measured of one model under one setting."""

    setting: Setting
    points: tuple[Point, ...]  # by length of prompt, one request at a time
    curve: tuple[Point, ...]  # by requests at once, with the shortest prompt
    loading: Loading | None
    memory: Memory
    joules_per_token: float | None  # of the first point
    energy: str  # what the joules count, or why there are none
    noise: Noise
    notes: tuple[str, ...]
    seconds: float  # that measuring took


async def measure_speed(
    engine: AsyncEngine,
    model: str,
    *,
    contexts: Sequence[int] = CONTEXTS,
    parallel: Sequence[int] = PARALLEL,
    written: int = WRITTEN,
    repeats: int = REPEATS,
    options: Mapping[str, Any] | None = None,
    load: bool = True,
    progress: Progress | None = None,
    patience: float = 600.0,
    powercap: Path = POWERCAP,
) -> Speed:
    """Measure a model. `load` unloads it first, to time its loading: nobody else may need it.

    Contexts that do not fit are made shorter. Raises EngineError; BenchError for settings that
    make no sense, and for an answer that takes more than `patience` seconds.
    """
    if repeats < 1 or written < 2 or not contexts or min([*contexts, *parallel]) < 1:
        raise BenchError("Measure at least 1 context, 1 repeat, 2 written tokens, 1 at once.")
    begun, say, sent = time.perf_counter(), progress or (lambda share, words: None), options or {}
    details = await engine.show(model)
    encoder = bool(details.capabilities) and "completion" not in details.capabilities
    say(0.0, "load")
    loading = await _loading(engine, model, sent, encoder) if load else None
    await engine.load(model, options=sent)
    under, busy = await setting(engine, model, details, sent), load_average()
    before, counts = await _look(engine.url), () if encoder else tuple(parallel)
    asker, steps = Asker(engine, model, sent, patience), _steps(contexts, counts, written, under)
    found: dict[tuple[int, int], Point] = {}
    with Meter(powercap, here=under.machine is not None) as meter:
        counted = await asker.warm_up(encoder)
        for tokens, count in steps:
            say((len(found) + 1) / (len(steps) + 1), f"{tokens} tokens, {count} at once")
            work = (_encoding if encoder else _point)(asker, meter, tokens, written, count, repeats)
            found[tokens, count] = await work
    points = [point for (_, count), point in found.items() if count == 1]
    return Speed(
        setting=under,
        points=tuple(points),
        curve=tuple(found[points[0].asked, count] for count in counts),
        loading=loading,
        memory=await memory(engine, model),
        joules_per_token=points[0].joules.median if points[0].joules else None,
        energy=meter.source,
        noise=noise(busy, *before, await asyncio.to_thread(clocks, engine.url)),
        notes=tuple(_remarks(under, contexts, points, counted, load and loading is None)),
        seconds=time.perf_counter() - begun,
    )


async def _look(url: str) -> tuple[Clocks | None, Clocks | None]:
    """Two readings of the machine's clocks, before anything is asked."""
    first = await asyncio.to_thread(clocks, url)
    await asyncio.sleep(_LOOK)
    return first, await asyncio.to_thread(clocks, url)


def _steps(
    contexts: Sequence[int], parallel: Sequence[int], written: int, under: Setting
) -> list[tuple[int, int]]:
    """Lengths of prompts that leave room for an answer, and numbers of requests at once."""
    most = max(8, under.context - written - 16 if under.context else max(contexts))
    lengths = sorted({min(length, most) for length in contexts})
    steps = [(length, 1) for length in lengths] + [(lengths[0], count) for count in parallel]
    return list(dict.fromkeys(steps))


def _remarks(
    under: Setting, contexts: Sequence[int], points: Sequence[Point], counted: bool, stayed: bool
) -> Iterable[str]:
    if stayed:
        yield "The model stayed loaded when it was to go: how long a load takes is unknown."
    if not counted:
        yield "The engine does not tell tokens of prompts: their length is a guess."
    if points[-1].asked < max(contexts):
        yield f"The context holds {under.context} tokens: no prompt is longer."


async def _loading(
    engine: AsyncEngine, model: str, options: Mapping[str, Any], encoder: bool
) -> Loading | None:
    """Unload the model and load it with the shortest answer; None when others keep it loaded."""
    await engine.unload(model)
    for _ in range(_GOING):
        if await loaded(engine, model) is None:
            break
        await asyncio.sleep(0.1)
    else:
        return None
    begun, asked = time.perf_counter(), {**options, "num_predict": 1}
    if encoder:
        await engine.load(model, options=options)
        return Loading(time.perf_counter() - begun, None)
    told = (await engine.generate(model, "the", raw=True, options=asked)).metrics
    took = time.perf_counter() - begun - (told.prompt_eval_duration + told.eval_duration) / 1e9
    return Loading(max(took, 0.0), told.load_duration / 1e9 or None)


async def _point(
    asker: Asker, meter: Meter, tokens: int, written: int, parallel: int, repeats: int
) -> Point:
    """`parallel` requests at once with prompts of so many tokens, `repeats` times."""

    async def ask() -> Timed | None:
        try:
            return await asker.ask(asker.prompt(tokens), written)
        except EngineError:
            if parallel == 1:
                raise
            return None

    found: list[Timed] = []
    totals, joules = [], []
    for _ in range(repeats):
        before, begun = meter.joules(), time.perf_counter()
        came = [one for one in await asyncio.gather(*(ask() for _ in range(parallel))) if one]
        took, wrote = time.perf_counter() - begun, sum(one.told.eval_count for one in came)
        totals.append(wrote / took)
        joules.append(_per(before, meter.joules(), wrote))
        found += came
    read, wrote = (_median(getattr(one.told, n) for one in found) for n in _COUNTS)
    return Point(
        parallel=parallel,
        asked=tokens,
        read=read,
        written=wrote,
        first_token=figure(one.first for one in found),
        prompt_speed=figure(one.prompt_speed for one in found),
        prompt_clock=figure(one.told.prompt_eval_count / one.first for one in found),
        generation_speed=figure(one.generation_speed for one in found),
        generation_clock=figure(one.generation_clock for one in found),
        total=figure(totals),
        joules=figure(joules),
        failed=parallel * repeats - len(found),
        notes=tuple(_notes(found, (tokens, read), (written, wrote))),
    )


_COUNTS = ("prompt_eval_count", "eval_count")


def _notes(found: Sequence[Timed], read: tuple[int, int], wrote: tuple[int, int]) -> Iterable[str]:
    """What is odd: pairs are what was asked for, and what the engine counts."""
    if not all(one.true for one in found):
        yield "The engine tells longer durations than it took, as a cache does: they are left out."
    if read[1] and abs(read[1] - read[0]) > max(32, 0.2 * read[0]):
        yield f"Of {read[0]} tokens the engine counts {read[1]} as read."
    if wrote[1] < 0.9 * wrote[0]:
        yield f"Answers ended after {wrote[1]} of {wrote[0]} tokens."


async def _encoding(
    asker: Asker, meter: Meter, tokens: int, written: int, parallel: int, repeats: int
) -> Point:
    """Requests of `TEXTS` texts to an encoder."""
    counts, took, joules = [], [], []
    for _ in range(repeats):
        texts = [asker.prompt(tokens) for _ in range(TEXTS)]
        before, begun = meter.joules(), time.perf_counter()
        counts.append((await asker.engine.embed(asker.model, texts)).prompt_eval_count)
        took.append(time.perf_counter() - begun)
        joules.append(_per(before, meter.joules(), counts[-1]))
    speeds = figure(n / seconds for n, seconds in zip(counts, took, strict=True))
    total, read = figure(TEXTS / seconds for seconds in took), round(_median(counts) / TEXTS)
    return Point(TEXTS, tokens, read, 0, None, None, speeds, None, None, total, figure(joules))


def _median(values: Iterable[int]) -> int:
    return round(statistics.median([*values] or [0]))


def _per(before: float | None, after: float | None, tokens: int) -> float | None:
    known = before is not None and after is not None and tokens
    return (after - before) / tokens if known else None  # type: ignore[operator]
