"""The commands that make a trained model again: its documents, its dataset, its training."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.protocol import ModelName

_GATHER = {"files": "add", "web": "crawl", "git": "git", "transcript": "transcript"}


def commands_for(how: Mapping[str, Any], model: str) -> tuple[str, ...]:
    """What to type, in this order. A line that begins with `#` says what no command can do."""
    recipe = str(how.get("recipe") or "")
    settings = _object(how.get("settings"))
    if recipe in {"starter", "minilm"}:
        minutes = [] if recipe == "minilm" else _given("--minutes", settings.get("minutes"))
        kind = ["--embedding"] if recipe == "minilm" else []
        return (line("starter", "--name", _short(model), *kind, *minutes),)
    name, digest = str(how.get("dataset_name") or "data"), str(how.get("dataset") or "")
    base = _given("--base", how.get("base"))
    sets = [part for key, value in sorted(settings.items()) for part in _set(key, value)]
    return (
        *_dataset(_object(how.get("dataset_recipe")), name, digest),
        line("train", recipe, "--dataset", f"{name}@{digest[:8]}" if digest else name, *base,
              "--name", _short(model), *sets),
    )  # fmt: skip


def words_for(how: Mapping[str, Any]) -> str:
    """By which hashes to see whether it came out the same."""
    files = ", ".join(f"{kind} {sha}" for kind, sha in sorted(_object(how.get("export")).items()))
    told = [
        f"dataset {how['dataset']}" if how.get("dataset") else "",
        f"base {how['base']} {how['base_digest']}" if how.get("base_digest") else "",
        f"files {files}" if files else "",
    ]
    hashes = "; ".join(filter(None, told))
    return (
        f"{hashes + '. ' if hashes else ''}Another processor or another version rounds otherwise: "
        "where the hashes differ, measure it and make a release of it."
    )


def _dataset(recipe: Mapping[str, Any], name: str, digest: str) -> Iterator[str]:
    """From the documents to the dataset."""
    before, kind = _object(recipe.get("parent_recipe")), recipe.get("kind")
    origin = str(recipe.get("dataset") or "")
    if before:
        yield from _dataset(before, name, origin)
    for collection in _rows(recipe.get("collections")):
        for source in _rows(collection.get("sources")):
            if source.get("source") in _GATHER:
                step = _GATHER[str(source["source"])]
                yield line("data", step, _text(collection, "name"), _text(source, "address"))
    named = ("--name", name)
    collections = [_text(one, "name") for one in _rows(recipe.get("collections"))]
    if kind == "clean":
        yield line("data", "clean", *collections, *named, *_rules(_object(recipe.get("rules"))))
    elif kind == "code":
        sources = [part for one in collections for part in ("--from", one)]
        kinds = [part for one in _list(recipe.get("kinds")) for part in ("--kind", str(one))]
        more = [*_given("--dataset", origin[:12]), *_given("--limit", recipe.get("limit"))]
        yield line("data", "code", *sources, *kinds, *named, *more,
                    *_given("--seed", recipe.get("seed")))  # fmt: skip
    elif kind == "import":
        columns = [
            part
            for field, column in sorted(_object(recipe.get("columns")).items())
            for part in ("--column", f"{field}={column}")
        ]
        form = _given("--form", recipe.get("form"))
        yield line("data", "import", _text(recipe, "path"), *named, *form, *columns)
    elif kind == "split":
        parts = ("validation", "test", "seed", "by", "stratify")
        how = [part for one in parts for part in _given(f"--{one}", recipe.get(one))]
        yield line("data", "split", f"{name}@{origin[:8]}", *how, *named)
    elif kind == "feedback":
        yield line("train", "feedback", *named, *_given("--form", recipe.get("form")))
    else:
        words = f"# No command made the dataset {name}: copy its folder, datasets/{digest}."
        yield " ".join(words.split())


def _rules(rules: Mapping[str, Any]) -> list[str]:
    """The rules that are not the usual ones."""
    from workbench.refine import Rules

    usual = Rules().to_json()
    told = {name: value for name, value in sorted(rules.items()) if usual.get(name) != value}
    return [part for name, value in told.items() for part in ("--rule", f"{name}={_typed(value)}")]


def _set(key: str, value: Any) -> tuple[str, ...]:
    return () if value is None else ("--set", f"{key}={json.dumps(value)}")


def _given(option: str, value: Any) -> list[str]:
    return [] if value in (None, "", 0) else [option, str(value)]


def _typed(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def line(*words: str) -> str:
    """A command line; no word of a file becomes more than one word of it, or a second line."""
    return shlex.join(["workbench", *(" ".join(word.split()) for word in words)])


def _short(model: str) -> str:
    return ModelName.parse(model).display().removesuffix(":latest")


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in _list(value) if isinstance(one, Mapping)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(row: Mapping[str, Any], name: str) -> str:
    return str(row.get(name) or "")
