"""Sizes and figures of releases as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def size_words(count: int) -> str:
    """Bytes in powers of 1000: `4.2 GB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} B" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def figures_words(row: Mapping[str, Any]) -> str:
    """One measurement: `12.3 tokens/s, first token after 0.21 s, code 41 % (35 to 47)`."""
    said = []
    if number(row, "tokens_per_second"):
        said.append(f"{number(row, 'tokens_per_second'):.3g} tokens/s")
    if number(row, "first_token_seconds") is not None:
        said.append(f"first token after {number(row, 'first_token_seconds'):.2g} s")
    if score := score_words(row):
        said.append(f"{row.get('suite', '')} {score}".strip())
    return ", ".join(said) or "nothing could be measured"


def score_words(row: Mapping[str, Any]) -> str:
    """A score with its interval, "" without one."""
    score, low, high = (number(row, name) for name in ("score", "low", "high"))
    if score is None:
        return ""
    between = "" if low is None or high is None else f" ({low * 100:.3g} to {high * 100:.3g})"
    return f"{score * 100:.3g} %{between}"


def number(row: Mapping[str, Any], name: str) -> float | None:
    """A figure of a measurement; what came from a file need not be one."""
    value = row.get(name)
    return None if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
