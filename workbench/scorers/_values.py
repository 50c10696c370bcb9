"""Scorers that find a value in an answer: a number, a letter, an object of JSON.

A number may be written 1,234.5, -3, minus 3, 3/4, 1 1/2, 2.5e-3, 2.5 × 10^-3, 45 %; of a percentage
both 45 and 0.45 are taken. Numbers in words (seven) and with a comma for the point are not read.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.scorers._answers import LETTERS, blocks, choice_index, right, shown, unknown
from workbench.scorers._records import Sample, Tools, Verdict
from workbench.scorers._text import search

_NUMBER = re.compile(
    r"""(?<![\w./])(?P<digits>(?:\d{1,3}(?:,\d{3}){1,40}(?!\d)|\d+)(?:\.\d+)?|\.\d+)
    (?:(?:\s(?P<over>\d{1,9}))?\s?/\s?(?P<under>\d{1,15})(?![\d/])
      |[eE](?P<e>[-+]?\d{1,4})(?!\w)
      |\s?(?:[x×*·]|\\times|\\cdot)\s?10\s?(?:\^|\*\*)\s?[{(]?(?P<power>[-+−]?\d{1,4})[})]?)?
    (?P<percent>\s?(?:\\?%|percent\b|per\ cent\b))?""",
    re.VERBOSE,
)
_FRACTION = re.compile(r"\\[dt]?frac\{(-?\d{1,15})\}\{(\d{1,15})\}")
_MINUS_SIGN = re.compile(r"(?:^|[^\w)\]}])[-−–]$")
_MINUS_WORD = re.compile(r"(?:^|[^\d)\]}\s])\s*\b(?:minus|negative)\s+$", re.IGNORECASE)
_MOST_DIGITS, _MOST_READ = 400, 100_000


def numeric(
    answer: str,
    sample: Sample,
    tools: Tools,
    *,
    tolerance: float = 0.0,
    relative: float = 1e-6,
    first: bool = False,
    after: str = "",
) -> Verdict:
    """The last number of the answer (the first, the last behind `after`) is the target."""
    wanted = next(iter(deque(numbers(str(sample.target)), maxlen=1)), None)
    if sample.target is None or wanted is None:
        return unknown("The sample's target is no number.")
    if after and after in answer:
        answer = answer.rpartition(after)[2]
    readings = numbers(answer[:_MOST_READ] if first else answer[-_MOST_READ:])
    found = next(readings, None) if first else next(iter(deque(readings, maxlen=1)), None)
    if found is None:
        return right(False, "no number in the answer")
    near = any(
        math.isclose(a, b, rel_tol=relative, abs_tol=tolerance) for a in found for b in wanted
    )
    return right(near, f"found {found[0]:.10g}, wanted {wanted[0]:.10g}")


def numbers(text: str) -> Iterator[tuple[float, ...]]:
    """The numbers of a text, in order; a percentage in two readings. Only finite ones."""
    text = _FRACTION.sub(r"\1/\2", text.replace("{,}", ",").replace("\\,", ""))
    for match in _NUMBER.finditer(text):
        value = _value(match)
        if value is None:
            continue
        before = text[max(0, match.start() - 24) : match.start()].rstrip("$€£\\")
        if _MINUS_SIGN.search(before) or _MINUS_WORD.search(before):
            value = -value
        yield (value, value / 100) if match["percent"] else (value,)


def _value(match: re.Match[str]) -> float | None:
    digits = match["digits"].replace(",", "")
    if len(digits) > _MOST_DIGITS:
        return None
    if match["under"]:
        over, under = float(match["over"] or 0), float(match["under"])
        whole = float(digits) if match["over"] else 0.0
        return whole + (over if match["over"] else float(digits)) / under if under else None
    power = (match["e"] or match["power"] or "0").replace("−", "-")
    value = float(f"{digits}e{power}")
    return value if math.isfinite(value) else None


_MARKED = re.compile(
    r"(?:answer|option|choice|lösung|antwort|respuesta|réponse)\b[^\w\n]{0,6}(?:is|ist|est|es|:)?"
    r"[^\w\n]{0,8}\b([A-Z])\b(?!['’])|\\boxed\{\W{0,3}(?:\\text\{)?([A-Z])\b",
    re.IGNORECASE,
)
_LEADING = re.compile(r"\W{0,8}([A-Za-z])(?:\s*[).:\]*}]|\W*$)", re.MULTILINE)
_GOES_ON = re.compile(r"\s{1,4}(?!(?:or|and|is|as|but|since|because)\b)[a-zà-ÿ]")
_ALONE = re.compile(r"(?<![\w'’])([A-Z])(?![\w'’])")


def letter(answer: str, sample: Sample, tools: Tools) -> Verdict:
    """The letter that the answer chooses is the target (a letter, an index, a choice's text)."""
    size = len(sample.choices)
    wanted = choice_index(sample.target, sample.choices or tuple(LETTERS))
    if wanted is None:
        return unknown("The sample's target is none of its choices.")
    found = chosen(answer[:_MOST_READ], LETTERS[: size or len(LETTERS)], sample.choices)
    if found is None:
        return right(False, "no letter in the answer")
    return right(found == wanted, f"chose {LETTERS[found]}, wanted {LETTERS[wanted]}")


def chosen(answer: str, letters: str, choices: Sequence[str] = ()) -> int | None:
    """Which letter a text chooses, as an index.

    In this order: the last one behind a word like "answer is"; one that begins the first line,
    as in "(B) because"; the only capital letter that stands alone, "A" as an article aside; the
    only choice whose text occurs.
    """
    marked = [found for match in _MARKED.finditer(answer) if (found := _known(match, letters)) >= 0]
    if marked:
        return marked[-1]
    first = _LEADING.match(answer.lstrip())
    if first and (found := _known(first, letters)) >= 0:
        return found
    alone = {m[1] for m in _ALONE.finditer(answer) if m[1] in letters and not _article(answer, m)}
    if len(alone) == 1:
        return letters.index(alone.pop())
    said = answer.casefold()
    named = [n for n, choice in enumerate(choices) if choice and choice.casefold() in said]
    return named[0] if len(named) == 1 else None


def _known(match: re.Match[str], letters: str) -> int:
    """The index of the letter that the match caught; -1 for one that is no choice."""
    caught = next(filter(None, match.groups()), "").upper()
    return letters.find(caught) if caught and not _article(match.string, match) else -1


def _article(text: str, match: re.Match[str]) -> bool:
    """Whether a letter "a" or "I" goes on as a word of a sentence does."""
    return match[1] in {"A", "a", "I"} and _GOES_ON.match(text, match.end(1)) is not None


_MOST_STARTS = 64  # fenced blocks and braces that are tried


def json_schema(
    answer: str,
    sample: Sample,
    tools: Tools,
    *,
    schema: Mapping[str, Any] | None = None,
    strict: bool = True,
) -> Verdict:
    """The answer is JSON that fits the schema; its value is the F1 of its fields.

    The schema is the sample's `schema` or the option. Fields are compared as `leaves` gives them.
    Without a target, being valid is all. With `strict: false` the F1 counts for what is not valid.
    """
    found, problem = find_json(answer)
    if problem:
        return Verdict(0.0, problem, {"valid": 0.0})
    wanted = sample.more.get("schema", schema)
    if isinstance(wanted, Mapping | bool):
        problem = _against(wanted, found)
    valid = float(not problem)
    if sample.target is None:
        return Verdict(valid, problem, {"valid": valid})
    target = json.loads(sample.target) if isinstance(sample.target, str) else sample.target
    given, expected = leaves(found), leaves(target)
    common = (given & expected).total()
    precision, recall = common / given.total(), common / expected.total()
    f1 = 2 * common / (given.total() + expected.total())
    parts = {"valid": valid, "precision": precision, "recall": recall, "f1": f1}
    return Verdict(f1 if valid or not strict else 0.0, problem, parts)


def find_json(text: str) -> tuple[Any, str]:
    """The JSON of an answer and "", or None and why there is none.

    The whole answer, else the last fenced block that is JSON, else the longest object or list
    that begins at one of the first braces and brackets.
    """
    for candidate in [text, *(block.text for block in blocks(text)[: -_MOST_STARTS - 1 : -1])]:
        try:
            return json.loads(candidate, parse_constant=_no_constant), ""
        except (ValueError, RecursionError):
            continue
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    longest, found = 0, None
    for match, _ in zip(re.finditer(r"[{\[]", text), range(_MOST_STARTS), strict=False):
        try:
            value, end = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if end - match.start() > longest:
            longest, found = end - match.start(), value
    return found, "" if longest else "no JSON in the answer"


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _against(schema: Mapping[str, Any] | bool, found: Any) -> str:
    """Why the value does not fit, "" where it does. References elsewhere are not fetched."""
    from jsonschema import ValidationError, validators  # type: ignore[import-untyped]
    from referencing import Registry

    def pattern(validator: Any, wanted: str, value: Any, schema: Any) -> Iterator[Any]:
        if isinstance(value, str) and not search(wanted, value):
            yield ValidationError(f"{shown(value)} does not match {shown(wanted)}")

    kind = validators.validator_for(schema)
    kind.check_schema(schema)
    checker = validators.extend(kind, {"pattern": pattern})(schema, registry=Registry())
    try:
        error = next(checker.iter_errors(found), None)
    except RecursionError:
        return "nested too deeply"
    return f"{error.json_path}: {error.message}"[:300] if error else ""


def leaves(value: Any) -> Counter[tuple[str, Any]]:
    """What a value holds, as path and content: `items[].name` with "x", and how often.

    The place in a list does not count. Texts are compared without case and extra space, 1 and
    1.0 are the same; true, null and empty lists are contents too.
    """
    found: Counter[tuple[str, Any]] = Counter()
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, one = waiting.pop()
        if isinstance(one, Mapping) and one:
            waiting += [(f"{path}.{key}", inner) for key, inner in one.items()]
        elif isinstance(one, list | tuple) and one:
            waiting += [(f"{path}[]", inner) for inner in one]
        else:
            found[path, _content(one)] += 1
    return found


def _content(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(value.casefold().split())
    if isinstance(value, bool) or value is None or isinstance(value, Mapping | list | tuple):
        return json.dumps(value), None  # so that true is not 1 and [] is not "[]"
    return value
