"""The home, the environment and the installed packages."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from workbench import settings
from workbench.doctor._check import Check
from workbench.errors import SettingsError, WorkbenchError

_POSITIVE = ("WORKBENCH_MAX_JOBS", "MAX_OPTIMIZATION_ITERATIONS", "OPTIMIZATION_TIMEOUT_MINUTES")


def usable() -> bool:
    """Whether there is a home that can be written: without one nothing else can be looked at."""
    try:
        return os.access(settings.home(), os.W_OK | os.X_OK)
    except SettingsError:
        return False


def home() -> Iterator[Check]:
    """Whether it is ours alone."""
    folder = settings.home()
    yours = usable() and (os.name != "posix" or not folder.stat().st_mode & 0o077)
    message = f"{folder} {'is' if yours else 'must be'} writable by you, and closed to others"
    fix, command = "Chats and keys lie in it.", f"chmod 700 '{folder}'"
    yield Check("home", yours, message, fix, command, "close home", str(folder), safe=True)


def variables() -> Iterator[Check]:
    """Whether the environment makes sense."""
    wrong = []
    for test in _tests():
        try:
            test()
        except WorkbenchError as error:
            wrong.append(str(error))
    own = settings.env("OLLAMA_MODELS", "~/.ollama/models")
    if settings.models_folder() == Path(own).expanduser():
        wrong.append("WORKBENCH_MODELS is Ollama's own folder, which Ollama tidies up by itself.")
    message = " ".join(wrong) or "the environment makes sense"
    yield Check("settings", not wrong, message, "Set them right, or unset them.")
    sources = (file.read_text("utf-8") for file in Path(__file__).parents[1].rglob("*.py"))
    known = {name for text in sources for name in re.findall(r"WORKBENCH_[A-Z_]+\b", text)}
    for name in sorted(name for name in os.environ if name.startswith("WORKBENCH_")):
        if name not in known:
            near = " or ".join(get_close_matches(name, known, n=2)) or "one of the documented"
            yield Check("settings", None, f"{name} means nothing.", f"Did you mean {near}?")


def _tests() -> list[Callable[[], object]]:
    """What raises for a value that makes no sense."""
    from workbench.protocol import parse_duration, parse_keep_alive

    idle = settings.env("WORKBENCH_ENGINE_IDLE", "0")
    alive = settings.env("OLLAMA_KEEP_ALIVE", "0")
    return [
        settings.engine_choice,
        settings.configured_engine_url,
        settings.log_level,
        lambda: settings.env_flag("DEBUG"),
        lambda: idle.lstrip("-").isdecimal() or parse_duration(idle),
        lambda: alive.lstrip("-").isdecimal() or parse_keep_alive(alive),
        *(partial(settings.env_int, name, 1, minimum=1) for name in _POSITIVE),
    ]


def packages() -> Iterator[Check]:
    """Whether what is needed is installed, as pyproject.toml says it."""
    from importlib.metadata import distributions, requires

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    there = {canonicalize_name(found.name): found.version for found in distributions()}
    wrong = False
    for wanted in map(Requirement, requires("workbench") or ()):
        ours = not wanted.marker or wanted.marker.evaluate({"extra": ""})
        version = there.get(canonicalize_name(wanted.name))
        if ours and (version is None or not wanted.specifier.contains(version, prereleases=True)):
            wrong = True
            needed = f"{wanted.name}{wanted.specifier}"
            command = f"{sys.executable} -m pip install '{needed}'"
            message = f"{needed} is needed, {version or 'none'} is installed."
            yield Check("packages", False, message, "Install it.", command)
    if not wrong:
        python = ".".join(map(str, sys.version_info[:3]))
        yield Check("packages", True, f"as needed, on Python {python}")
