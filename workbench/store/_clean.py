"""Values of others as every database takes them: PostgreSQL refuses NUL, JSON refuses NaN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def clean(value: Any) -> Any:
    """Texts without NUL and lone surrogates, numbers that JSON has, all the way down."""
    if isinstance(value, str):
        return value.replace("\x00", "␀").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [clean(item) for item in value]
    if (isinstance(value, float) and value != value) or value in (float("inf"), float("-inf")):
        return None
    return value if isinstance(value, str | int | float | bool | None) else clean(str(value))
