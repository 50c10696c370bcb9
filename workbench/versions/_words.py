"""What each step of an update is going to do, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.versions._records import Change

_GATES = {
    "not worse": "It ends here if the new one is worse for certain.",
    "better": "It goes on only if the new one is better for certain.",
    "none": "Whatever comes out, it goes on.",
}


def step_words(plan: Mapping[str, Any], changes: Sequence[Change]) -> dict[str, str]:
    """By step."""
    return {
        "pull": _pull(changes),
        "smoke": _smoke(changes),
        "suite": _suite(plan, changes),
        "reembed": _reembed(plan, changes),
        "switch": _switch(plan, changes),
        "validate": "The engine's digests, an answer and a search are looked at once more. If one "
        f"is wrong, {plan['before'] or 'the release'} "
        + ("comes back at once." if plan["before"] else "is told to be wrong."),
        "record": f"The history is written to {Path(plan['file']).name}."
        if plan["file"]
        else "No file was named, so the history stays in the store.",
    }


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = names or ("",)
    return f"{', '.join(first)} and {last}" if first else last


def _pull(changes: Sequence[Change]) -> str:
    pulled = [one.model for one in changes if one.pull]
    if not pulled:
        return "All models are here."
    return f"{listed(pulled)} {_is(pulled)} pulled, and the digest is noted."


def _smoke(changes: Sequence[Change]) -> str:
    said = [one.model for one in changes if not one.embedding]
    made = [one.model for one in changes if one.embedding]
    parts = [f"{listed(said)} answers some prompts, and its template is rendered."] if said else []
    parts += [f"Vectors of {listed(made)} are looked at."] if made else []
    return " ".join(parts)


def _suite(plan: Mapping[str, Any], changes: Sequence[Change]) -> str:
    new = [one for one in changes if not one.same_version]
    parts = []
    asked = [one for one in new if not one.embedding]
    if asked and plan["suite"]:
        parts.append(f"{_pairs(asked)} answer the same questions of {_title(plan['suite'])}.")
    elif asked:
        parts.append(f"No suite was named, so {listed([one.model for one in asked])} is not "
                     "measured.")  # fmt: skip
    if found := [one for one in new if one.embedding]:
        parts.append(f"{_pairs(found)} look for the passages that answer some questions.")
    gated = bool(found) or (asked and plan["suite"])
    return " ".join([*parts, _GATES[plan["gate"]]] if gated else parts) or "Nothing is new."


def _pairs(changes: Sequence[Change]) -> str:
    return "; ".join(
        f"{one.before_model} and {one.model}" if one.before_model else one.model for one in changes
    )


def _title(suite: str) -> str:
    return Path(suite).name if "/" in suite else suite


def _reembed(plan: Mapping[str, Any], changes: Sequence[Change]) -> str:
    names = plan["collections"]
    model = next((one.model for one in changes if one.embedding and not one.same_version), "")
    if not model:
        return "The embedding model stays, so the vectors stay."
    if not names:
        return "No collection has vectors of the old embedding model."
    return (
        f"The texts of {listed(names)} get vectors of {model}, beside those in use, after a "
        "backup. The old ones are kept."
    )


def _switch(plan: Mapping[str, Any], changes: Sequence[Change]) -> str:
    roles = listed([f"{one.role} = {one.model}" for one in changes])
    kept = f" {listed(plan['kept'])} stays as it is." if plan["kept"] else ""
    after = f" instead of {plan['before']}" if plan["before"] else ""
    return f"{plan['version']} comes into use{after}, in one step: {roles}.{kept}"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
