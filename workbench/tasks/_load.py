"""Task and suite files → records. Strict: what is not known is refused, with the nearest name.

What a file may say stands in `data/schema.json`. A task's samples are not read here but when they
are asked for (or serve as examples); that the file is there, that templates can be read, and that
scorers, generators and options exist is checked at once.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.errors import InvalidRequest, TaskError
from workbench.protocol import OPTIONS, check_options
from workbench.scorers import LIKELIHOOD, ScorerUse, problem_of
from workbench.tasks._document import Document, read_document
from workbench.tasks._records import Suite, Task
from workbench.tasks._rows import Row, check_rows
from workbench.tasks._samples import Recipe, answer_text
from workbench.tasks._templates import TemplateProblem, compiled, is_template
from workbench.texts import nearest

_SCHEMA = Path(__file__).parent / "data" / "schema.json"
_GENERATORS = Path(__file__).parent / "generators"


def load_task(path: str | Path) -> Task:
    """The task of a YAML file. Raises TaskError with file, line and reason."""
    return build_task(read_document(Path(path)), Path(path).absolute())


def build_task(part: Document, path: Path) -> Task:
    """The task that a document, or a part of one, describes; `path` is the document's file."""
    _check(part, "task")
    value: dict[str, Any] = {key: one for key, one in part.value.items() if one is not None}
    mode = value.get("mode", "chat")
    if "name" not in value and part.at:
        raise part.error("A task that is written out needs a name.")
    recipe = _recipe(part, value, path)
    name = value.get("name", path.stem)
    return Task(
        name=name,
        title=value.get("title", name),
        mode=mode,
        scorers=_scorers(part, value, mode),
        make=recipe.samples,
        description=value.get("description", ""),
        system=value.get("system", ""),
        shots=_shots(part, value.get("shots", 0), recipe),
        options=_options(part, value),
        count=int(value.get("count", 100)),
        source=" · ".join(value[key] for key in ("source", "license") if key in value),
        file=str(path),
    )


def build_suite(document: Document, path: Path, find: Callable[[str], Task]) -> Suite:
    """The suite that a document describes; `find` gives the task of a name or raises TaskError."""
    _check(document, "suite")
    value = document.value
    tasks: list[Task] = []
    weights: list[float] = []
    for n, entry in enumerate(value["tasks"]):
        part = document.part("tasks", n)
        if isinstance(entry, dict) and "task" in entry:
            if strange := set(entry) - {"task", "weight"}:
                raise part.error("Beside task there can only be weight.", min(strange))
            part = part.part("task")
        task = _member(part, path, find)
        if task.name in {one.name for one in tasks}:
            raise part.error(f"The task {task.name!r} is there twice.")
        tasks.append(task)
        weights.append(float(entry.get("weight", 1)) if isinstance(entry, dict) else 1.0)
    name = value.get("name", path.stem)
    facts = {key: value[key] for key in ("description", "domain") if key in value}
    title = value.get("title", name)
    return Suite(name, title, tuple(tasks), tuple(weights), file=str(path), **facts)


def _member(part: Document, path: Path, find: Callable[[str], Task]) -> Task:
    """A suite's task: one of this name, the one of a file beside the suite, or one written out."""
    if not isinstance(part.value, str):
        return build_task(part, path)
    if part.value.endswith((".yaml", ".yml")):
        return load_task(_beside(part, path))
    try:
        return find(part.value)
    except TaskError as error:
        raise part.error(str(error)) from None


@lru_cache(maxsize=2)
def _validator(kind: str) -> Any:
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    return Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})


def _check(part: Document, kind: str) -> None:
    """Raise TaskError for the first thing that the schema does not allow.

    Files that ship are held against it by a test: loading jsonschema takes a second.
    """
    if Path(part.file).is_relative_to(_SCHEMA.parent):
        return
    errors = [
        (part.line(*one.absolute_path) or 0, one)
        for one in _validator(kind).iter_errors(part.value)
    ]
    if not errors:
        return
    error = min(errors, key=lambda one: one[0])[1]
    at, known = list(error.absolute_path), error.schema.get("properties", ())
    reason = error.schema.get("description") or f"{error.message[:200]}."
    if error.validator == "additionalProperties":
        at.append(next(key for key in error.instance if key not in known))
        reason = f"The key {at[-1][:60]!r} is not known.{nearest(at[-1], known)}"
    elif error.validator == "enum":
        reason = f"There is no {at[-1]} {str(error.instance)[:60]!r}."
        reason += nearest(error.instance, error.validator_value)
    raise part.error(reason, *at)


def _beside(part: Document, path: Path) -> Path:
    """A file that is named in a file: absolute, or in its folder, or in `samples` next to that.

    So a file from somebody else cannot quietly take what lies elsewhere on the disk.
    """
    named = Path(part.value)
    if named.is_absolute():
        return named
    found = (path.parent / named).resolve()
    folder = path.parent.resolve()
    if not any(found.is_relative_to(one) for one in (folder, folder.parent / "samples")):
        raise part.error(f"{part.value[:200]} lies outside of this folder. Give its whole path.")
    return found


def _recipe(part: Document, value: dict[str, Any], path: Path) -> Recipe:
    """Where the samples come from, with all that can be checked without them."""
    mapped = ("prompt", "target", "suffix", "group", "id")
    facts: dict[str, Any] = {key: value[key] for key in mapped if key in value}
    for key, text in facts.items():
        if key == "prompt" or is_template(text):
            try:
                compiled(text)
            except TemplateProblem as error:
                raise part.error(f"The template cannot be used: {error}.", key) from None
    if "choices" in value:
        fixed = isinstance(value["choices"], list)
        facts["choices"] = tuple(map(str, value["choices"])) if fixed else value["choices"]
    if "generator" in value and (made := {*facts} - {"prompt"}):
        raise part.error(f"A generator makes {min(made)} itself. Leave it out.", min(made))
    shots = value.get("shots", 0)
    facts |= {
        "mode": value.get("mode", "chat"),
        "shots": 0 if isinstance(shots, list) else int(shots),
    }
    if "generator" in value:
        return Recipe(str(path), **facts, **_generator(part.part("generator")))
    if isinstance(value["samples"], list):
        lines = [part.line("samples", n) for n in range(len(value["samples"]))]
        return Recipe(str(path), **facts, rows=tuple(map(Row, value["samples"], lines)))
    rows = _beside(part.part("samples"), path)
    try:
        check_rows(rows)
    except TaskError as error:
        raise part.error(str(error), "samples") from None
    return Recipe(str(path), **facts, rows=rows)


def _generator(part: Document) -> dict[str, Any]:
    """The generator's function and its options, checked against what it takes."""
    options = dict(part.value)
    name = options.pop("name")
    names = [file.stem for file in _GENERATORS.glob("[a-z]*.py")]
    if name not in names:
        raise part.error(f"There is no generator {name!r}.{nearest(name, names)}", "name")
    make = importlib.import_module(f"workbench.tasks.generators.{name}").make
    signature = inspect.signature(make)
    taken = list(signature.parameters)[1:]
    for key in (key for key in options if key not in taken):
        reason = f"The generator {name} takes no {key[:60]!r}.{nearest(key, taken)}"
        raise part.error(reason, key)
    try:
        signature.bind(0, **options)
    except TypeError as error:
        raise part.error(f"The generator {name} cannot be called: {error}.") from None
    return {"generator": make, "options": options}


def _scorers(part: Document, value: dict[str, Any], mode: Any) -> tuple[ScorerUse, ...]:
    reserved = LIKELIHOOD.get(mode, ())
    if "scorers" not in value and not reserved:
        raise part.error("A task needs scorers, a list of at least one.")
    uses = []
    for n, entry in enumerate(value.get("scorers", reserved)):
        options = {} if isinstance(entry, str) else dict(entry)
        uses.append(ScorerUse(options.pop("name", entry), options))
        if problem := problem_of(uses[-1], mode):
            raise part.error(problem, "scorers", n)
    return tuple(uses)


def _shots(part: Document, shots: Any, recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """Examples that are written out, or the samples' first ones."""
    if shots and recipe.mode == "insert":
        raise part.error("Tasks of mode insert have no shots.", "shots")
    if isinstance(shots, list):
        return tuple((one["prompt"], one["answer"]) for one in shots)
    if not shots:
        return ()
    found = recipe.head()
    if len(found) < shots:
        raise part.error(f"There are only {len(found)} samples.", "shots")
    try:
        return tuple((one.prompt, answer_text(one, recipe.mode)) for one in found)
    except ValueError as error:
        raise part.error(str(error), "shots") from None


def _options(part: Document, value: dict[str, Any]) -> dict[str, Any]:
    """The engine's options; an answer is the likeliest one unless the task says otherwise."""
    given = value.get("options", {})
    for key in (key for key in given if key not in OPTIONS):
        reason = f"The engine has no option {key[:60]!r}.{nearest(key, OPTIONS)}"
        raise part.error(reason, "options", key)
    try:
        return {"temperature": 0.0, **check_options(given)}
    except InvalidRequest as error:
        raise part.error(f"{error}.", "options") from None
