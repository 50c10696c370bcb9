"""Which tasks and suites there are: ours, and the user's in `<home>/tasks` and `<home>/suites`.

A file that cannot be read is told of by `problems` and hides no other; whoever asks for it by
name gets its error. A name that ships stays ours, since results under one name must be comparable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from workbench.errors import TaskError
from workbench.settings import home
from workbench.tasks._document import Document, read_document
from workbench.tasks._load import build_suite, build_task, load_task
from workbench.tasks._records import Suite, Task
from workbench.texts import nearest

_DATA = Path(__file__).parent / "data"
_Kind = TypeVar("_Kind", Task, Suite)


class Found(NamedTuple):
    """Tasks or suites by name, and the errors of files that were left out, by the files' stems."""

    by_name: dict[str, Any]
    errors: dict[str, TaskError]


def tasks() -> dict[str, Task]:
    """All tasks by name."""
    return _all_tasks().by_name


def suites() -> dict[str, Suite]:
    """All suites by name."""
    return _all_suites().by_name


def problems() -> tuple[str, ...]:
    """A sentence for each file that was left out, with its line and reason."""
    known = _all_tasks()
    found = [*known.errors.values(), *_all_suites(known).errors.values()]
    return tuple(str(error) for error in found)


def find_task(name: str | Path) -> Task:
    """The task of this name, or of this YAML file. Raises TaskError, with near names."""
    return load_task(name) if _is_path(name) else _find(str(name), "task", _all_tasks())


def find_suite(name: str | Path) -> Suite:
    """The suite of this name, or of this YAML file. Raises TaskError, with near names."""
    return load_suite(name) if _is_path(name) else _find(str(name), "suite", _all_suites())


def find_any(name: str | Path) -> Suite:
    """The suite of this name or file, or the task of it, taken for a suite of one. TaskError.

    A dataset (.jsonl, .csv) is a task that is scored by how alike answers and targets are.
    """
    if str(name).lower().endswith((".jsonl", ".csv")):
        return _alone(task_from_dataset(name))
    if _is_path(name):
        single = "tasks" not in read_document(Path(name)).value
    else:
        known = _all_tasks()
        single = str(name) in {**known.by_name, **known.errors} and str(name) not in suites()
    return _alone(find_task(name)) if single else find_suite(name)


def _alone(task: Task) -> Suite:
    return Suite(task.name, task.title, (task,), (1.0,), task.description, file=task.file)


def load_suite(path: str | Path) -> Suite:
    """The suite of a YAML file. Raises TaskError with file, line and reason."""
    return _suite(Path(path), _all_tasks())


def task_from_dataset(
    path: str | Path, *, scorer: str | Mapping[str, Any] = "similarity", **keys: Any
) -> Task:
    """A task whose samples are the rows of a JSONL or CSV file, recognised by their keys.

    `keys` are any of a task file's, such as `name`, `prompt`, `target`, `mode`, `count`. In the
    modes choice and perplexity the scorer is the mode's own. Raises TaskError.
    """
    file = Path(path).absolute()
    value: dict[str, Any] = {"name": file.stem[:80], "samples": str(file), "source": file.name}
    if keys.get("mode") not in ("choice", "perplexity"):
        value["scorers"] = [dict(scorer) if isinstance(scorer, Mapping) else scorer]
    return build_task(Document(str(file), value | keys), file)


def _is_path(name: str | Path) -> bool:
    return isinstance(name, Path) or name.endswith((".yaml", ".yml")) or "/" in name


def _find(name: str, kind: str, found: Found) -> Any:
    if name in found.by_name:
        return found.by_name[name]
    if name in found.errors:
        raise found.errors[name]
    raise TaskError(f"There is no {kind} {name[:60]!r}.{nearest(name, found.by_name)}")


def _all_tasks() -> Found:
    return _with_own(_shipped_tasks(), "tasks", load_task)


def _all_suites(known: Found | None = None) -> Found:
    known = known or _all_tasks()
    return _with_own(_shipped_suites(), "suites", lambda path: _suite(path, known))


@lru_cache(maxsize=1)
def _shipped_tasks() -> Found:
    return _scan(_DATA / "tasks", load_task)


@lru_cache(maxsize=1)
def _shipped_suites() -> Found:
    return _scan(_DATA / "suites", lambda path: _suite(path, _shipped_tasks()))


def _suite(path: Path, known: Found) -> Suite:
    return build_suite(read_document(path), path.absolute(), lambda one: _find(one, "task", known))


def _with_own(shipped: Found, kind: str, load: Callable[[Path], _Kind]) -> Found:
    own = _scan(home() / kind, load, frozenset(shipped.by_name))
    return Found(shipped.by_name | own.by_name, shipped.errors | own.errors)


def _scan(
    folder: Path, load: Callable[[Path], _Kind], taken: frozenset[str] = frozenset()
) -> Found:
    found = Found({}, {})
    for path in sorted(folder.glob("*.y*ml")):
        try:
            one = load(path)
            if one.name in taken | set(found.by_name):
                reason = f"The name {one.name!r} is taken. Choose another."
                raise TaskError(reason, str(path))
            found.by_name[one.name] = one
        except TaskError as error:
            found.errors[path.stem] = error
    return found
