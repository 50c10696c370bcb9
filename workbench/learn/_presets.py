"""Presets: settings that go together, as data.

Ours are in `presets.json` beside this file; a `presets.json` of the same form in the home adds the
user's own, and one of the same name is the user's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import TrainingError
from workbench.learn._settings import Settings, checked
from workbench.settings import home
from workbench.texts import nearest

_MOST_BYTES = 1 << 20


def presets() -> dict[str, dict[str, Any]]:
    """Every preset's settings by its name, with `about`: what it is for, in a sentence.

    Raises TrainingError for a file of the user's that holds none.
    """
    return {**_read(Path(__file__).with_name("presets.json")), **_read(home() / "presets.json")}


def settings_of(preset: str | Mapping[str, Any] = "lora", **overrides: Any) -> Settings:
    """The settings of a preset, or of a mapping (with `preset` for all that it does not say), with
    some of them changed. Raises TrainingError for what is not known, with what is near it."""
    given: dict[str, Any] = {} if isinstance(preset, str) else dict(preset)
    name = preset if isinstance(preset, str) else given.pop("preset", None)
    chosen = {} if name is None else _preset(name)
    return Settings(**{**chosen, **checked(given), **checked(overrides)})


def _preset(name: Any) -> dict[str, Any]:
    known = presets()
    if not isinstance(name, str) or name not in known:
        raise TrainingError(f"There is no preset {str(name)[:80]!r}.{nearest(name, known)}")
    return {key: value for key, value in known[name].items() if key != "about"}


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise TrainingError(f"{path} is too large to be a list of presets. Shorten it.")
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"{path} cannot be read ({error}). Repair or remove it.") from None
    rows = found if isinstance(found, dict) else None
    if rows is None or not all(isinstance(one, dict) for one in rows.values()):
        raise TrainingError(f"{path} must hold an object of settings for each preset's name.")
    for name, one in rows.items():
        where = f"{path}, preset {name[:80]!r}: "
        Settings(**checked({k: v for k, v in one.items() if k != "about"}, where))
    return rows
