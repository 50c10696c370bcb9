"""What the form of a training asks the rooms below: choices, settings as they would be, names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from workbench.errors import WorkbenchError

WORDS = {"yes": True, "true": True, "no": False, "false": False, "none": None}
BESIDE = frozenset({"quantization"})  # settings that have a place of their own in the form
_USUAL = frozenset({"F16", "Q8_0", "Q6_K", "Q4_K_M"})
DIAL = "depth"  # from which the recipe `base` derives what nobody typed


def value_of(text: str) -> Any:
    """A setting as people type it: a number, yes or no, none, or a word."""
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text) if len(text) < 40 else text
        except ValueError:
            continue
    return text


def choices() -> tuple[Any, ...]:
    """Base models and presets."""
    from workbench.bases import bases
    from workbench.learn import presets

    return tuple(bases()), presets()


def kinds() -> tuple[str, ...]:
    """Of GGUF files, those that are used most first."""
    from workbench.gguf import QUANTISATIONS

    return tuple(sorted(QUANTISATIONS, key=lambda kind: kind not in _USUAL))


def counted() -> Any:
    """How many votes and pairs there are to learn preferences from."""
    from workbench.recipes import feedback

    return feedback()


def collected() -> Any:
    """A dataset of them."""
    from workbench.recipes import make_feedback

    return make_feedback("votes")


def refused(recipe: str, preset: str, changed: Mapping[str, Any]) -> str:
    """What is wrong with these settings; empty where nothing is."""
    try:
        _settings(recipe, preset, changed)
    except WorkbenchError as error:
        return str(error)
    return ""


def defaults(recipe: str, preset: str, changed: Mapping[str, Any]) -> dict[str, Any]:
    """The settings when nothing is typed but the dial."""
    dial = {name: value for name, value in changed.items() if recipe == "base" and name == DIAL}
    kept = {} if refused(recipe, preset, dial) else dial
    found = asdict(_settings(recipe, preset, kept))
    return {name: value for name, value in found.items() if name not in BESIDE}


def wrong_name(name: str) -> str:
    """Why a model cannot be called so; empty where it can."""
    from workbench.export import checked_name

    try:
        checked_name(name)
    except WorkbenchError as error:
        return str(error)
    return ""


def _settings(recipe: str, preset: str, changed: Mapping[str, Any]) -> Any:
    """Checked settings of the recipe. Raises TrainingError."""
    if recipe == "base":
        from workbench.pretrain import base_settings

        return base_settings(**changed)
    from workbench.learn import settings_of

    return settings_of(preset, **changed)
