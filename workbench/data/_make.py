"""The jobs that make datasets; each leaves a recipe from which it can be made again.

submit_make("clean", "docs", collections=["docs"], rules={"near": 0.8})
submit_make("code", "python-gaps", collections=["repo"], kinds=["gap"])
submit_make("import", "chats", path="chats.jsonl")
submit_make("split", "docs", dataset="docs", validation=0.1)
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from workbench.data import _keep as keep
from workbench.data._checks import texts_of
from workbench.data._import import import_arguments, import_file
from workbench.data._records import Dataset
from workbench.data._split import split
from workbench.errors import DataError
from workbench.examples import Example, code_examples
from workbench.gather import Document, documents, find_collection
from workbench.jobs import Job, JobContext, submit
from workbench.refine import Rules, clean, rules_of
from workbench.settings import home
from workbench.texts import nearest


def submit_make(step: str, name: str, **arguments: Any) -> Job:
    """Make a dataset called `name` in a job. Raises DataError, GatherError before it is queued."""
    _step(step)
    for collection in arguments.get("collections", ()):
        find_collection(collection)
    if "rules" in arguments:
        rules_of(arguments["rules"])
    for label in [*arguments.get("against", ()), *filter(None, [arguments.get("dataset")])]:
        keep.find(label)
    if step == "import":
        if "path" not in arguments:
            raise DataError("Say which file to import: path=…")
        arguments = import_arguments(**arguments)
    keep.checked_name(name)
    return submit(
        "workbench.data:run_make", {"step": step, "name": name, "arguments": arguments},
        title=f"{_TITLES[step]} {name}", kind="data",
    )  # fmt: skip


def run_make(
    context: JobContext, step: str, name: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """The job itself: the dataset's name, digest and numbers. Raises DataError, GatherError."""
    made = _step(step)(name, context=context, **arguments)
    return {
        "name": made.name, "digest": made.digest, "form": made.form, "splits": dict(made.splits),
        "characters": made.characters, "label": made.label,
    }  # fmt: skip


def make_corpus(
    name: str,
    collections: Sequence[str],
    *,
    rules: Rules | Mapping[str, Any] | None = None,
    against: Sequence[str] = (),
    context: JobContext | None = None,
) -> Dataset:
    """Clean what was gathered into one dataset of texts; `against` names other datasets whose
    texts must not be in it. Raises DataError, GatherError."""
    context = context or JobContext("", home())
    chosen = rules if isinstance(rules, Rules) else rules_of(rules or {})
    others = {one.label: partial(_texts, one) for one in map(keep.find, against)}
    folder = context.folder / f"refine-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    report = clean(
        _documents(collections), chosen, folder, against=others, tell=partial(_tell, context)
    )
    recipe = {"kind": "clean", **_gathered(collections), "rules": chosen.to_json()}
    recipe["against"] = sorted(others)
    with keep.writing(name, "text", recipe=recipe) as draft:
        for row in _rows(folder / "corpus.jsonl"):
            context.check_cancelled()
            draft.add(Example("text", {"text": row["text"]}, row["about"]))
        draft.report = report.to_json()
    shutil.rmtree(folder)
    return draft.made


def make_code(
    name: str,
    collections: Sequence[str] = (),
    *,
    dataset: str = "",
    kinds: Sequence[str] = ("docstring",),
    seed: int = 0,
    limit: int | None = None,
    context: JobContext | None = None,
) -> Dataset:
    """Examples out of Python sources, gathered or of a cleaned dataset. Raises DataError."""
    context = context or JobContext("", home())
    origin = keep.find(dataset) if dataset else None
    sources = _again(origin) if origin else _documents(collections)
    recipe: dict[str, Any] = {"kind": "code", "kinds": [*kinds], "seed": seed, "limit": limit}
    recipe |= {"dataset": origin.digest} if origin else _gathered(collections)
    counts: Counter[str] = Counter()
    found = iter(code_examples(sources, kinds, seed=seed, limit=limit, counts=counts))
    first = next(found, None)
    if first is None:
        raise DataError(
            "No examples were found: there is no Python source with functions and docstrings. "
            "Gather a Git repository or a folder with Python files."
        )
    parent = origin.digest if origin else ""
    with keep.writing(name, first.form, recipe=recipe, parent=parent) as draft:
        for number, example in enumerate(chain([first], found)):
            if number % 100 == 0:
                _tell(context, None, f"{number} examples")
            draft.add(example)
        draft.report = dict(counts)
    return draft.made


def remake(label: str) -> Job:
    """Make a dataset again from its recipe, in a job; equal input gives the same digest.

    Raises DataError where its recipe cannot be followed.
    """
    known = keep.find(label)
    recipe = dict(known.recipe)
    step = recipe.pop("kind", "")
    arguments = {k: v for k, v in recipe.items() if k in _ARGUMENTS.get(step, ())}
    if step not in _ARGUMENTS:
        raise DataError(f"{known.label} was not made by a step that can be done again ({step!r}).")
    if "collections" in arguments:
        arguments["collections"] = [one["name"] for one in arguments["collections"]]
    return submit_make(step, known.name, **arguments)


def _documents(collections: Sequence[str]) -> Iterator[Document]:
    if not collections:
        raise DataError("Say which collections to use: `workbench data list` names them.")
    for name in collections:
        yield from documents(name)


def _gathered(collections: Sequence[str]) -> dict[str, Any]:
    """What the collections held, so that one can see whether they still do."""
    return {
        "collections": [
            {
                "name": found.name,
                "sources": [
                    {"source": s.source, "address": s.address, "digest": s.digest,
                     "documents": s.documents, "licence": s.licence}
                    for s in found.sources
                ],
            }
            for found in map(find_collection, collections)
        ]
    }  # fmt: skip


def _again(dataset: Dataset) -> Iterator[Document]:
    """The documents that a cleaned dataset was made of, as they are in it."""
    if dataset.form != "text":
        raise DataError(f"{dataset.label} has no texts: examples are made of a cleaned corpus.")
    for one in keep.examples(dataset):
        about = one.about
        yield Document(
            one.fields["text"], str(about.get("address", "")), about.get("kind", "text"),
            language=str(about.get("language", "")), licence=str(about.get("licence", "")),
        )  # fmt: skip


def _texts(dataset: Dataset) -> Iterator[str]:
    for one in keep.examples(dataset):
        yield "\n".join(texts_of(one.fields))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)


def _tell(context: JobContext, fraction: float | None, words: str) -> None:
    context.check_cancelled()
    context.progress(fraction, words)


def _make_split(name: str, dataset: str, *, context: JobContext, **more: Any) -> Dataset:
    _tell(context, None, f"splitting {dataset}")
    return split(keep.find(dataset), name=name, **more)


_STEPS: Mapping[str, Callable[..., Dataset]] = {
    "clean": make_corpus,
    "code": make_code,
    "import": import_file,
    "split": _make_split,
}
_TITLES = {
    "clean": "Clean into",
    "code": "Examples from code:",
    "import": "Import",
    "split": "Split",
}
_ARGUMENTS = {
    "clean": ("collections", "rules", "against"),
    "code": ("collections", "dataset", "kinds", "seed", "limit"),
    "import": ("path", "columns", "form", "format"),
    "split": ("dataset", "validation", "test", "seed", "by", "stratify"),
}


def _step(name: str) -> Callable[..., Dataset]:
    if name not in _STEPS:
        raise DataError(f"There is no step {name!r}.{nearest(name, _STEPS)}")
    return _STEPS[name]
