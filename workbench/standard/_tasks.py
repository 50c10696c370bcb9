"""Tasks of lm-eval: found by their names, checked for what they would do, loaded with their data.

A task's file can do more than ask: call Python functions, load a metric as a program from another
host, have code run that a model wrote. A task that comes with lm-eval may call the functions that
come with it. All else is refused unless `allow_code` is set, and then nothing guards against it.
Templates are rendered in jinja2's sandbox in either case.

To name a task is to ask for its data: where that is not on this machine, the Hugging Face Hub is
asked for it (HF_DATASETS_OFFLINE=1 forbids it), and nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workbench.errors import MissingExtra, TaskError

_LOCAL = {"json", "csv", "parquet", "text", "arrow", "pandas", "xml"}  # readers of files
_SEED = 1234  # with which lm-eval draws examples
_ADVICE = (
    "Name a task whose data is here, write one over a file (dataset_path: json, data_files: …), or "
    "get the data once with a network; HF_HOME says where it is kept."
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A task as its file says it, before anything of it is loaded."""

    name: str
    config: Mapping[str, Any]
    files: tuple[Path, ...]  # its own, and those of the groups that it was reached through

    @property
    def data(self) -> str:
        """The data set on the Hugging Face Hub; "" when it reads files."""
        path = str(self.config.get("dataset_path") or "")
        return "" if path in _LOCAL or not path else path


def require() -> None:
    """Raises MissingExtra when lm-eval is not installed."""
    if find_spec("lm_eval") is None:
        raise MissingExtra("lm-eval", "eval")


def folder_of(include_path: str | None) -> str | None:
    """The folder with tasks of one's own, absolute. Raises TaskError."""
    if not include_path:
        return None
    folder = Path(include_path).expanduser().resolve()
    if not folder.is_dir():
        raise TaskError(f"There is no folder {str(include_path)[:200]!r} with tasks.")
    return str(folder)


def leaves(name: str, include_path: str | None = None) -> list[Leaf]:
    """The tasks that a name of a task, group or tag means. Raises TaskError, MissingExtra."""
    index = _manager(name, include_path).task_index
    found = {leaf.name: leaf for leaf in _leaves(name, index, ())}
    if not found:
        raise TaskError(f"{name} of lm-eval has no tasks.")
    return list(found.values())


def check(leaf: Leaf, *, allow_code: bool = False) -> None:
    """Raises TaskError for what a task would do and must not."""
    config = leaf.config
    for kind, what in (("doc_to_image", "pictures"), ("doc_to_audio", "sounds")):
        if config.get(kind):
            raise TaskError(f"{leaf.name} asks about {what}, which cannot be sent yet.")
    if allow_code:
        return
    reasons = {
        "runs code that the model writes, without the workbench's sandbox": bool(
            config.get("unsafe_code")
        ),
        "calls Python functions of its own": _calls_python(leaf.files),
        "loads a metric as a program from another host": bool(_foreign_metrics(config)),
    }
    for reason, true in reasons.items():
        if true:
            raise TaskError(
                f"{leaf.name} {reason}. Allow it for tasks of somebody that you trust: "
                "allow_code=True."
            )


def load(name: str, include_path: str | None = None, *, shots: int | None = None) -> dict[str, Any]:
    """lm-eval's tasks by name, with their data and `shots` examples. Raises TaskError.

    Paths of data files are taken from the folder of one's own tasks.
    """
    import datasets

    datasets.disable_progress_bars()
    _guard_templates()
    manager = _manager(name, include_path)
    _fix_chance()
    try:
        with chdir(include_path) if include_path else nullcontext():
            tasks: dict[str, Any] = manager.load([name])["tasks"]
    except Exception as error:  # whatever a task, its data and the network raise
        raise TaskError(_why(name, include_path, error)) from error
    for task in tasks.values():
        wanted = task.get_config("num_fewshot")
        if wanted is None or (shots is not None and wanted != 0):  # lm-eval's rule: 0 stays
            task.set_config(key="num_fewshot", value=shots or 0)
        task.set_fewshot_seed(seed=_SEED)
    return tasks


def sized(name: str, include_path: str | None) -> bool:
    """Whether the name is a group's: its tasks then count by their numbers of samples."""
    return str(_manager(name, include_path).task_index[name].kind.name) == "GROUP"


def _manager(name: str, include_path: str | None) -> Any:
    """Who knows the task. lm-eval's own 14,000 files are read only where they are needed."""
    require()
    if not isinstance(name, str) or not name.strip():
        raise TaskError(f"A task of lm-eval has a name, not {name!r}.")
    manager = _index(include_path) if include_path else _shipped()
    if include_path and not _complete(name, manager.task_index):
        for other, entry in _shipped().task_index.items():
            manager.task_index.setdefault(other, entry)
    if name not in manager.task_index:
        raise _unknown(name, manager.task_index, include_path)
    return manager


def _complete(name: str, index: Mapping[str, Any]) -> bool:
    try:
        return bool(list(_leaves(name, index, ())))
    except TaskError:
        return False


def _index(include_path: str | None) -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=include_path, include_defaults=not include_path)


@lru_cache(maxsize=1)
def _shipped() -> Any:
    """The tasks that come with lm-eval: some seconds."""
    return _index(None)


def _unknown(name: str, index: Mapping[str, Any], include_path: str | None) -> TaskError:
    from difflib import get_close_matches

    for file in sorted(Path(include_path).rglob("*.yaml")) if include_path else ():
        _nodes(file)  # raises where it cannot be read
    near = get_close_matches(name[:80], index, 3)
    advice = f"Did you mean {', '.join(near)}?" if near else "Its documentation lists them."
    return TaskError(f"lm-eval has no task {name[:80]!r}. {advice}")


def _leaves(
    name: str, index: Mapping[str, Any], above: tuple[str, ...], files: tuple[Path, ...] = ()
) -> Iterator[Leaf]:
    """The tasks below a name; `above` are the groups that it was reached through."""
    entry = index.get(name)
    if entry is None:
        raise TaskError(f"{above[-1] if above else name} names {name!r}, which is no task.")
    if name in above:
        raise TaskError(f"The group {name} contains itself.")
    config = entry.cfg or {}
    files += (entry.yaml_path,) if entry.yaml_path else ()
    if entry.kind.name == "TAG":
        for member in sorted(entry.tags):
            yield from _leaves(member, index, (*above, name), files)
    elif entry.kind.name == "GROUP":
        yield from _members(config, index, (*above, name), files)
    else:
        yield Leaf(name, config, files)


def _members(
    config: Mapping[str, Any], index: Mapping[str, Any], above: tuple[str, ...],
    files: tuple[Path, ...],
) -> Iterator[Leaf]:  # fmt: skip
    """The tasks of a group, with what the group changes in them."""
    members = config.get("task")
    for member in members if isinstance(members, list) else ():
        facts = {"task": member} if isinstance(member, str) else dict(member)
        inner = facts.pop("group", None) or facts.pop("task", None)
        if isinstance(facts.get("task"), list) and inner not in index:
            yield from _members(facts, index, (*above, str(inner)), files)
        elif isinstance(inner, str) and inner in index:
            for leaf in _leaves(inner, index, above, files):
                yield Leaf(leaf.name, {**leaf.config, **facts}, leaf.files)
        elif facts:
            yield Leaf(f"{above[-1]}::{inner}", facts, files)
        else:
            raise TaskError(f"{above[-1]} names {inner!r}, which is no task.")


def _calls_python(files: Sequence[Path]) -> bool:
    """Whether a file that is not lm-eval's, or one that it includes, has a tag of no YAML."""
    import lm_eval

    waiting, seen = list(files), set()
    while waiting:
        one = waiting.pop().resolve()
        if one in seen or Path(lm_eval.__file__).parent in one.parents:
            continue
        seen.add(one)
        for key, node in _nodes(one):
            if not node.tag.startswith("tag:yaml.org,2002:"):
                return True
            if key == "include":
                parts = [node] if isinstance(node.value, str) else node.value
                waiting += [one.parent / str(part.value) for part in parts]
    return False


def _nodes(file: Path) -> list[tuple[str, Any]]:
    """All nodes of a YAML file, each with the key that it stands behind. Raises TaskError."""
    import yaml

    try:
        root = yaml.compose(file.read_text("utf-8"), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "this is not YAML"
        raise TaskError(str(reason), str(file), mark.line + 1 if mark else None) from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise TaskError(f"it cannot be read ({error})", str(file)) from None
    found = [("", root)] if root is not None else []
    seen: set[int] = set()  # an alias is its node again, which makes few lines a very large tree
    for _, node in found:  # grows
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            found += [(str(k.value), v) for k, v in node.value] + [("", k) for k, _ in node.value]
        elif isinstance(node, yaml.SequenceNode):
            found += [("", one) for one in node.value]
    return found


def _foreign_metrics(config: Mapping[str, Any]) -> list[str]:
    """Metrics that lm-eval itself does not have: it would load them from the Hub and run them."""
    from lm_eval.api import metrics as _metrics  # noqa: F401 - fills the registry
    from lm_eval.api.registry import metric_registry

    if config.get("process_results") or config.get("class"):
        return []
    listed = [one for one in config.get("metric_list") or () if isinstance(one, Mapping)]
    return [
        str(one.get("metric"))
        for one in listed
        if one.get("hf_evaluate") is True or one.get("metric") not in metric_registry
    ]


def _guard_templates() -> None:
    """A template must not reach Python: jinja2's sandbox in the place of its plain environment."""
    from jinja2.sandbox import SandboxedEnvironment
    from lm_eval import utils

    plain = utils.env
    if not isinstance(plain, SandboxedEnvironment):
        guarded = SandboxedEnvironment(
            loader=plain.loader, undefined=plain.undefined, keep_trailing_newline=True
        )
        guarded.filters.update(plain.filters)
        utils.env = guarded


def _fix_chance() -> None:
    """As lm-eval's own program does before it loads tasks, some of which shuffle."""
    import random

    import numpy

    random.seed(0)
    numpy.random.seed(_SEED)


def _why(name: str, include_path: str | None, error: Exception) -> str:
    """Why a task cannot be loaded, and what to do."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    remote = sorted({leaf.data for leaf in leaves(name, include_path)} - {""})
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    if remote and kinds & {"ConnectionError", "OSError", "HTTPError", "DatasetNotFoundError"}:
        return (
            f"The data of {name} ({', '.join(remote[:3])}, from huggingface.co) is not on this "
            f"machine and cannot be downloaded: {reason}. {_ADVICE}"
        )
    return f"{name} of lm-eval cannot be loaded: {type(error).__name__}: {reason}"
