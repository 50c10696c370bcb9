"""Texts as the model's own tokens: how many, which, and what each of them writes."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from itertools import islice
from typing import Any

from workbench.embedded._prompt import Ask
from workbench.embedded._runner import Event, Runner
from workbench.embedded._scheduler import Scheduler
from workbench.errors import InvalidRequest

_MOST = 10_000  # texts
_LONGEST = 8 << 20  # characters of all together
_BATCH = 500  # texts in one call of the child
_BORDER = -1  # no token has this id; llama.cpp puts it between the texts as it stands


async def tokens(scheduler: Scheduler, ask: Ask, texts: Sequence[str], told: set[str]) -> Event:
    """`counts`, and of `ids` and `pieces` those that are `told`; in the order of the texts.

    Nothing is put before or after a text; special tokens in it are read as such. A model that is
    loaded is asked as it is, whatever the options. Raises InvalidRequest for too many texts.
    """
    if len(texts) > _MOST or sum(map(len, texts)) > _LONGEST:
        raise InvalidRequest(
            f"at most {_MOST} texts of {_LONGEST} characters together can be asked for at once; "
            "send fewer",
            400,
        )
    found: list[list[int]] = []
    pieces: list[list[str]] = []
    async with scheduler.use(ask.model, ask.options, ask.keep_alive, as_it_is=True) as runner:
        rest = iter(texts)
        while batch := list(islice(rest, _BATCH)):
            found += await _ids(runner, batch)
        for text in texts if "pieces" in told else ():
            pieces.append(_pieces(await _call(runner, text, with_pieces=True)))
    answer: Event = {"counts": [len(ids) for ids in found]}
    answer |= {"tokens": found} if "ids" in told else {}
    return answer | ({"pieces": pieces} if "pieces" in told else {})


async def _ids(runner: Runner, texts: Sequence[str]) -> list[list[int]]:
    mixed: list[str | int] = []
    for text in texts:
        mixed += [text, _BORDER]
    found: list[list[int]] = [[]]
    for token in await _call(runner, mixed):
        if token == _BORDER:
            found.append([])
        else:
            found[-1].append(token)
    return found[:-1]


async def _call(runner: Runner, content: Any, **more: Any) -> list[Any]:
    body = {"content": content, "add_special": False, "parse_special": True, **more}
    return list((await runner.call("/tokenize", body))["tokens"])


def _pieces(rows: Sequence[Event]) -> list[str]:
    """What each token writes; a character of several tokens is written by its last one."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    parts = [row["piece"] for row in rows]
    return [decoder.decode(p.encode() if isinstance(p, str) else bytes(p)) for p in parts]
