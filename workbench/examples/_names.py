"""The many names that files have for their columns and for who speaks (`data/names.json`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

_FILE = json.loads((Path(__file__).parent / "data" / "names.json").read_text("utf-8"))
# What a column can be used for, and the names that such columns have: the first is the usual one.
USES: Mapping[str, tuple[str, ...]] = {use: tuple(names) for use, names in _FILE["uses"].items()}
ROLES = tuple(_FILE["roles"])
_ROLES: Mapping[str, str] = {name: role for role in ROLES for name in _FILE["roles"][role]}


def role_of(name: object) -> str | None:
    """system, user, assistant or tool; None for a name that is not known."""
    return _ROLES.get(name.strip().lower()) if isinstance(name, str) else None
