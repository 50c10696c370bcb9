"""Tasks that a model can be wished for: what they need, and which results speak for it.

Those that ship are in `data/tasks.json`. Another package adds its own through the entry point
group `workbench.tasks`: the entry's name is the task's, and it loads a `Task`, a mapping of its
fields, or a function that returns one. Only a task of the same name is replaced by it.

`special` and `base` in the same file say what no card says: which models were made for one thing
only (guards, readers of pages), and which names stand for models that continue a text and were
not taught to answer.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatch, translate
from functools import lru_cache
from importlib.metadata import entry_points
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from workbench.cards import Card
from workbench.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done with a model."""

    name: str
    title: str
    needs: tuple[str, ...] = ("completion",)  # capabilities, all of them
    wants: tuple[str, ...] = ()  # categories, one of them is enough
    bonus: tuple[str, ...] = ()  # capabilities that help
    metrics: Mapping[str, float] = field(default_factory=dict)  # what speaks for it, how much
    indirect: bool = False  # the metrics stand in: none measures the task itself
    context: int = 4096  # tokens that are typically needed
    output: int = 300  # tokens of a typical answer
    speed: float = 0.0  # tokens/s (read, for embeddings) that waiting bears; 0: any
    thinking: str = ""  # "slow": thinking before an answer costs more than it brings
    base: bool = False  # models that only continue a text will do
    embedding: bool = False
    aliases: tuple[str, ...] = ()


def _task(name: str, value: object) -> Task:
    """A task from what a file or a plugin gives."""
    made = value() if callable(value) else value
    if isinstance(made, Task):
        return made
    if not isinstance(made, Mapping):
        raise InvalidRequest(f"The task {name!r} is neither a Task nor a mapping of its fields.")
    fields: dict[str, Any] = {
        key: tuple(item) if isinstance(item, list) else item for key, item in made.items()
    }
    return Task(name=name, **{"title": name.replace("_", " "), **fields})


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Any]:
    path = files("workbench.advice") / "data" / "tasks.json"
    data: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


# what ships; `tasks()` has the plugins' too
TASKS: Mapping[str, Task] = MappingProxyType(
    {name: _task(name, value) for name, value in _data()["tasks"].items()}
)


@lru_cache(maxsize=1)
def tasks() -> Mapping[str, Task]:
    """All tasks by name, those of plugins included. A broken plugin is warned of, not fatal."""
    found = dict(TASKS)
    for entry in entry_points(group="workbench.tasks"):
        try:
            found[entry.name] = _task(entry.name, entry.load())
        except Exception as error:  # whatever a plugin does, the others must go on working
            warnings.warn(f"The task plugin {entry.name!r} is left out: {error}", stacklevel=2)
    return MappingProxyType(found)


def find_task(word: str | Task) -> Task:
    """The task of this name or alias. Raises InvalidRequest with near names."""
    if isinstance(word, Task):
        return word
    known = tasks()
    name = "_".join(str(word).strip().lower().replace("-", "_").replace("/", "_").split())
    if name in known:
        return known[name]
    aliases = {alias: task for task in known.values() for alias in task.aliases}
    if name in aliases:
        return aliases[name]
    near = get_close_matches(name, [*known, *aliases], n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise InvalidRequest(
        f"There is no task {str(word)[:60]!r}.{hint} The tasks are: {', '.join(sorted(known))}."
    )


def special_for(card: Card) -> tuple[str, ...] | None:
    """The tasks that a model of one purpose serves (maybe none); None: it is for all."""
    name = card.name.lower().rsplit("/", 1)[-1]
    special: Mapping[str, Sequence[str]] = _data()["special"]
    if not _pattern("special").match(name):
        return None
    return next(tuple(served) for glob, served in special.items() if fnmatch(name, glob))


def is_base(card: Card) -> bool:
    """Whether its name says that it only continues a text."""
    return _pattern("base").match(card.name.lower().rsplit("/", 1)[-1]) is not None


@lru_cache(maxsize=2)
def _pattern(kind: str) -> re.Pattern[str]:
    """All names of a kind as one pattern: asked of thousands of cards."""
    return re.compile("|".join(translate(glob) for glob in _data()[kind]))
