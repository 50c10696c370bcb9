"""How far a GGUF file in the engine is from its reference: template, tokens, probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from math import exp, log
from typing import TYPE_CHECKING, Any

from workbench.export._reference import Place, Reference

if TYPE_CHECKING:
    from workbench.engines import Engine

_TOLD = 20  # of the likeliest tokens an engine tells
_AT_ONCE = 4  # questions: what an engine without settings answers at once
_LEAST = 1e-6  # numbers of 32 bits cannot tell less of a rest
_AS_GOOD = 0.9  # of the likeliest token's share: which of two such comes first is chance
_SHOWN = 60  # characters around the place where two texts part
Asked = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parting:
    """Where a file and its reference part the most. `position` counts characters of a rendered
    conversation, else tokens of the text."""

    what: str  # "template", "tokens", "choice" (another likeliest token) or "likelihood"
    text: str
    position: int
    expected: str
    found: str
    gap: float = 0.0  # nats


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of one file."""

    template_equal: bool | None  # None without a template
    tokens_equal: bool
    top1: float  # share of places with the same likeliest token
    misses: int
    places: int
    kl: float  # nats per token, the mean; of the likeliest tokens and the rest as one
    logprob: float  # nats per token of the plain texts, the mean
    reference_logprob: float
    worst: Parting | None


def look(engine: Engine, name: str, reference: Reference, tick: Callable[[float], None]) -> Look:
    """Ask the model `name` what the reference was asked. Raises EngineError."""
    options: Asked = {"num_ctx": reference.context, "temperature": 0, "num_predict": 1}
    written = [*_template(engine, name, reference, options)]
    likelihoods, uncounted = _likelihoods(engine, name, reference)
    read = [*_tokens(engine, name, reference), *uncounted]
    divergences: list[float] = []
    misses: list[Parting] = []
    ask = partial(_compare, engine, name, options=options)
    with (
        ThreadPoolExecutor(_AT_ONCE) as pool,
        closing(pool.map(ask, reference.places)) as asked,  # type: ignore[type-var]
    ):
        for divergence, miss in asked:
            divergences.append(divergence)
            misses += [miss] if miss else []
            tick(len(divergences) / len(reference.places))
    widest = max(misses, key=lambda one: one.gap, default=None)
    worst = [*written, *read, *([widest] if widest else [_widest(reference, likelihoods)])]
    expected = [one for text in likelihoods for one in reference.likelihoods[text]]
    found = [one for row in likelihoods.values() for one in row]
    many = len(divergences) or 1
    return Look(
        None if not reference.chats else not written, not read,
        1 - len(misses) / many, len(misses), len(divergences), sum(divergences) / many,
        sum(found) / (len(found) or 1), sum(expected) / (len(expected) or 1), worst[0],
    )  # fmt: skip


def _tokens(engine: Engine, name: str, reference: Reference) -> Iterable[Parting]:
    """The first text that is read in other tokens."""
    texts = list(reference.tokens)
    for text, found in zip(texts, engine.tokenize(name, texts), strict=True):
        expected = list(reference.tokens[text])
        if found != expected:
            at = _first(expected, found)
            yield Parting("tokens", text, at, _ids(expected, at), _ids(found, at))
            return


def _template(engine: Engine, name: str, reference: Reference, options: Asked) -> Iterable[Parting]:
    """The first conversation that is written otherwise, or read in another number of tokens."""
    for chat in reference.chats:
        found = engine.render(name, chat.turns, options=options).removeprefix(reference.begin)
        if found != chat.written:
            at = _first(chat.written, found)
            expected, other = chat.written[at : at + _SHOWN], found[at : at + _SHOWN]
            yield Parting("template", chat.written, at, expected, other)
            return
        read = engine.chat(name, chat.turns, options=options).metrics.prompt_eval_count
        if read != chat.tokens:
            wanted, got = f"{chat.tokens} tokens", f"{read} tokens"
            yield Parting("template", chat.written, 0, wanted, got)
            return


def _likelihoods(
    engine: Engine, name: str, reference: Reference
) -> tuple[dict[str, list[float]], list[Parting]]:
    """Nats per token of each plain text, and the texts that are scored in other tokens."""
    likelihoods, others = {}, []
    for text, expected in reference.likelihoods.items():
        [told] = engine.score(name, "", text, options={"num_ctx": reference.context})
        found = list(told.token_logprobs)
        if len(found) == len(expected):
            likelihoods[text] = found
        else:
            wanted, came = f"{len(expected)} tokens", f"{len(found)} tokens"
            others.append(Parting("tokens", text, 0, wanted, came))
    return likelihoods, others


def _widest(reference: Reference, likelihoods: Mapping[str, list[float]]) -> Parting | None:
    """The token whose likelihood is the furthest from the reference's."""
    gaps = [
        (abs(ours - theirs), text, at, theirs, ours)
        for text, found in likelihoods.items()
        for at, (theirs, ours) in enumerate(zip(reference.likelihoods[text], found, strict=True))
    ]
    if not gaps:
        return None
    gap, text, at, theirs, ours = max(gaps)
    at += 0 if reference.begin else 1
    return Parting("likelihood", text, at, f"{theirs:.3f} nats", f"{ours:.3f} nats", gap)


def _compare(
    engine: Engine, name: str, place: Place, options: Asked
) -> tuple[float, Parting | None]:
    """The divergence at one place, and the parting where another token is likelier."""
    reply = engine.generate(
        name, place.prompt, raw=True, logprobs=True, top_logprobs=_TOLD, options=options
    )
    told = (reply.logprobs[0].get("top_logprobs") if reply.logprobs else None) or []
    found: dict[str, float] = {}
    pieces = [_text(entry) for entry in told]
    for entry, piece in zip(told, pieces, strict=True):
        if piece is not None:
            found[piece] = found.get(piece, 0.0) + exp(min(0.0, float(entry["logprob"])))
    likely = {**place.likely, "": sum(place.special[: pieces.count("")])}
    divergence = divergence_of(likely, found)
    best = pieces[0] if pieces else None
    likely[""] = max(place.special, default=0.0)
    if best is not None and likely.get(best, 0.0) >= likely[place.best] * _AS_GOOD:
        return divergence, None
    expected, came = (one or "a special token" for one in (place.best, best))
    if best is None:
        came = "a part of a character"
    return divergence, Parting("choice", place.prompt, place.position, expected, came, divergence)


def _text(entry: Mapping[str, Any]) -> str | None:
    """What a token writes, "" for a special one; None for a part of a character."""
    try:
        return bytes(entry["bytes"]).decode()
    except UnicodeDecodeError:
        return None


def divergence_of(likely: Mapping[str, float], found: Mapping[str, float]) -> float:
    """KL(likely || found) in nats over the tokens of `found` and all others as one.

    Taking tokens together never makes it larger: it is a lower bound of that over all tokens.
    """
    pairs = [(likely.get(piece, 0.0), max(share, 1e-30)) for piece, share in found.items()]
    rest = (1 - sum(p for p, _ in pairs), 1 - sum(q for _, q in pairs))
    pairs.append((max(_LEAST, rest[0]), max(_LEAST, rest[1])))
    return max(sum(p * log(p / q) for p, q in pairs if p > 0), 0.0)


def _first(one: Any, other: Any) -> int:
    """The first place where two sequences differ."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _ids(ids: list[int], at: int) -> str:
    return " ".join(map(str, ids[at : at + 6])) or "the end"
