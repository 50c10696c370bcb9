"""How long work tells its steps: objects of the protocol's streams, given to a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Event = dict[str, Any]
Emit = Callable[[Event], None]
