"""Chat turns made of functions: a question as a person would put it, the function as the answer.

The question is built from what the source tells: the docstring's first sentence, the name, or
the first lines of the code. So the model learns three things that raw sources do not teach: to
answer, to answer in a fenced block, and to stop. A few questions run the other way (what does
this do?), some leave a gap to be filled, and a few are small talk (`smalltalk.json`), in which
the model says what it is: tiny, and good for nothing but Python.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from workbench.pretrain import MIDDLE, PREFIX, SUFFIX, TURN, TURN_END
from workbench.starter._functions import Function
from workbench.types import Message

SYSTEM = "You are a helpful assistant that writes Python."
_SMALL_TALK_SHARE, _GAP_SHARE, _EXPLAIN_SHARE, _SYSTEM_SHARE = 0.12, 0.1, 0.08, 0.04


@dataclass(frozen=True, slots=True)
class Gap:
    """Code with a piece missing: what stands before, the piece, what stands after."""

    prefix: str
    middle: str
    suffix: str


Example = tuple[Message, ...] | Gap


def examples(found: Iterable[Function], seed: int) -> Iterator[Example]:
    """Turns for each function, in a mixed order that only `seed` decides."""
    chance = random.Random(seed)  # noqa: S311 (no secret depends on it)
    ordered = list(found)
    chance.shuffle(ordered)
    for function in ordered:
        if chance.random() < _SMALL_TALK_SHARE:
            yield _small_talk(chance)
        if chance.random() < _GAP_SHARE:
            yield _gap(function, chance)
        yield _turns(function, chance)


def written(example: Example) -> str:
    """A chat or a gap in its form, as one text."""
    if isinstance(example, Gap):
        return f"{PREFIX}{example.prefix}{SUFFIX}{example.suffix}{MIDDLE}{example.middle}"
    return "".join(f"{TURN}{turn.role}\n{turn.content}{TURN_END}\n" for turn in example)


def _turns(function: Function, chance: random.Random) -> tuple[Message, ...]:
    if function.docstring and chance.random() < _EXPLAIN_SHARE:
        ask = chance.choice(["What does this function do?", "Explain this code."])
        question, answer = f"{ask}\n{_fenced(function.bare)}", f"{function.docstring}."
    else:
        question = chance.choice(_DOCUMENTED if function.docstring else _NAMED)(function, chance)
        answer = _fenced(function.code)
    return _chat(question, answer, chance)


def _chat(question: str, answer: str, chance: random.Random) -> tuple[Message, ...]:
    turns = (Message("user", question), Message("assistant", answer))
    return (Message("system", SYSTEM), *turns) if chance.random() < _SYSTEM_SHARE else turns


def _fenced(code: str) -> str:
    return f"```python\n{code.rstrip()}\n```"


def _small_talk(chance: random.Random) -> tuple[Message, ...]:
    subject = chance.choice(_subjects())
    return _chat(chance.choice(subject["ask"]), chance.choice(subject["answer"]), chance)


@cache
def _subjects() -> list[dict[str, list[str]]]:
    text = resources.files(__package__).joinpath("smalltalk.json").read_text("utf-8")
    return list(json.loads(text))


def _gap(function: Function, chance: random.Random) -> Gap:
    """The function without some of its lines, or without a part of one."""
    code = function.bare
    start = chance.randrange(len(code) // 8, len(code) - 8)
    end = min(len(code), start + chance.randrange(8, 160))
    return Gap(code[:start], code[start:end], code[end:])


Question = Callable[[Function, random.Random], str]


def _sentence(function: Function, _: random.Random) -> str:
    return f"{function.docstring}."


def _write_that(function: Function, chance: random.Random) -> str:
    verb = chance.choice(["Write a function to", "Write a Python function to", "How do I"])
    first, rest = function.docstring.split(" ", 1)
    first = first.lower()
    if first.endswith("s") and not first.endswith("ss"):  # "Returns" as well as "Return"
        first = first[:-1]
    return f"{verb} {first} {rest}{'?' if verb == 'How do I' else '.'}"


def _write_named(function: Function, chance: random.Random) -> str:
    asks = ["Write a function `{}`: {}.", "Write `{}`. {}.", "Implement `{}`: {}."]
    return chance.choice(asks).format(function.call, function.docstring)


def _write_call(function: Function, chance: random.Random) -> str:
    asks = ["Write the function `{}`.", "Write a Python function `{}`.", "Implement {}."]
    return chance.choice(asks).format(function.call)


def _write_words(function: Function, chance: random.Random) -> str:
    """The name as words: people who do not know a name say what they want."""
    words = " ".join(function.name.replace("_", " ").split()) or function.name
    asks = ["Write a function to {}.", "Write a function that can {}.", "{}"]
    return chance.choice(asks).format(words)


def _begin(function: Function, chance: random.Random) -> str:
    """The first line or lines of the code, which the answer is to complete."""
    lines = function.code.split("\n")
    if chance.random() < 0.3:
        return lines[0][: lines[0].index("(") + 1]
    return "\n".join(lines[: chance.choice([1, 1, 1, len(lines) // 2])])


_DOCUMENTED: list[Question] = [_sentence, _write_that, _write_that, _write_named, _begin, _begin]
_NAMED: list[Question] = [_write_call, _write_words, _begin]
