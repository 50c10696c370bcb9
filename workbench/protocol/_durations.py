"""Go's durations ("1h30m", "250ms") and Ollama's keep_alive, as seconds.

Limits are Go's: a duration is a 64-bit count of nanoseconds, about 292 years.
"""

from __future__ import annotations

import math
import re

from workbench.errors import InvalidRequest

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_TERM = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|)")
_LONGEST = (2**63 - 1) / 1e9


def parse_duration(text: str) -> float:
    """Seconds. Raises InvalidRequest with Go's words ("time: invalid duration …")."""
    body = text[1:] if text[:1] in {"+", "-"} else text
    if body == "0":
        return 0.0
    seconds, end = 0.0, 0
    while end < len(body):
        term = _TERM.match(body, end)
        if term is None:
            raise _invalid(text)
        if not term[2]:
            raise InvalidRequest(f'time: missing unit in duration "{_short(text)}"', 400)
        seconds += float(term[1]) * _UNITS[term[2]]
        end = term.end()
    if not body or seconds > _LONGEST:
        raise _invalid(text)
    return -seconds if text[0] == "-" else seconds


def parse_keep_alive(value: object, *, bare: bool = False) -> float:
    """Seconds that a model stays loaded; `inf` for ever (any negative value), 0 = not at all.

    A number counts seconds, a string is a duration. `bare` also takes "300" as seconds,
    which the environment variable allows and a request does not.
    """
    if isinstance(value, str):
        text = value.strip()
        if bare and re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            seconds = float(text)
        else:
            seconds = parse_duration(text)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if math.isnan(value):
            raise InvalidRequest("keep_alive must be a number of seconds or a duration", 400)
        seconds = math.inf if value > _LONGEST else max(-1.0, value)
    else:
        raise InvalidRequest("keep_alive must be a number of seconds or a duration", 400)
    return math.inf if seconds < 0 else float(seconds)


def _invalid(text: str) -> InvalidRequest:
    return InvalidRequest(f'time: invalid duration "{_short(text)}"', 400)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"
