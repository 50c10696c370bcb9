"""The user's own machines (`profiles.json` in the home), and what models hold of this one."""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench import settings
from workbench.errors import FitError
from workbench.fit import Profile, ProfileGpu

_MOST_BYTES = 1 << 20
_LARGEST = 1e18


def read_profiles() -> dict[str, Profile]:
    """The user's machines by name. FitError for a file that is not one of ours."""
    path = _path()
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise FitError(f"{path} is too large to be a list of machines. Remove or shorten it.")
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise FitError(f"{path} cannot be read ({error}). Repair or remove it.") from None
    if not isinstance(found, dict):
        raise FitError(f"{path} is no JSON object of machines by name. Repair or remove it.")
    return {name: _profile(name, facts) for name, facts in found.items()}


def save_profile(profile: Profile) -> None:
    """Keep a machine under its name; one that has the name is replaced. FitError for rubbish."""
    checked = _profile(profile.name, asdict(profile))
    known = read_profiles() | {checked.name: checked}
    facts = {name: asdict(one) for name, one in known.items()}
    path = _path()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_text(json.dumps(facts, indent=1, allow_nan=False), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise FitError(f"{path} cannot be written ({error.strerror}).") from None


def held_by_models() -> int:
    """Bytes that loaded models of our engine and of an Ollama hold: they make room for others."""
    import psutil

    held = 0
    for process in psutil.process_iter(["cmdline", "memory_info"]):
        words = process.info["cmdline"] or []
        ours = "workbench.embedded._child" in words
        if (ours or words[1:2] == ["runner"]) and process.info["memory_info"]:
            held += process.info["memory_info"].rss
    return held


def _path() -> Path:
    return settings.home() / "profiles.json"


def _profile(name: Any, facts: Any) -> Profile:
    """A profile from JSON, or FitError."""
    if not isinstance(name, str) or not re.fullmatch(r"[\w.+ -]{1,64}", name) or name == "this":
        raise FitError(f"{str(name)[:60]!r} is no name for a machine. Use letters, digits, - and .")
    if not isinstance(facts, Mapping):
        raise FitError(f"The machine {name!r} has no facts. Give it at least its memory in bytes.")
    strange = set(facts) - set(Profile.__slots__)
    if strange:
        raise FitError(
            f"The machine {name!r} has unknown facts: {', '.join(sorted(strange))[:80]}."
        )
    gpus = facts.get("gpus") or ()
    if not isinstance(gpus, list | tuple) or len(gpus) > 64:
        raise FitError(f"The GPUs of {name!r} are no list of at most 64.")
    cores = _number(name, facts, "cores", optional=True)
    return Profile(
        name=name,
        title=_text(facts.get("title") or name),
        memory=int(_number(name, facts, "memory") or 0),
        gpus=tuple(_gpu(name, gpu) for gpu in gpus),
        shared=facts.get("shared") is True,
        cores=None if cores is None else int(cores),
        bandwidth=_number(name, facts, "bandwidth", optional=True),
        source=_text(facts.get("source") or "the user"),
    )


def _gpu(name: str, facts: Any) -> ProfileGpu:
    if not isinstance(facts, Mapping) or set(facts) - set(ProfileGpu.__slots__):
        raise FitError(f"A GPU of {name!r} is not described as name, memory, bandwidth, compute.")
    return ProfileGpu(
        _text(facts.get("name") or "GPU"),
        int(_number(name, facts, "memory") or 0),
        _number(name, facts, "bandwidth", optional=True),
        _number(name, facts, "compute", optional=True),
    )


def _number(name: str, facts: Mapping[str, Any], key: str, optional: bool = False) -> float | None:
    value = facts.get(key)
    if value is None and optional:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not 1 <= value <= _LARGEST
    ):
        raise FitError(f"The {key} of the machine {name!r} is {str(value)[:40]}, which cannot be.")
    return float(value)


def _text(value: Any) -> str:
    return " ".join("".join(c for c in str(value)[:300] if c.isprintable()).split())
