"""Datasets that are really kept, from short words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workbench.data import Dataset, writing
from workbench.examples import FIELDS, Example, Form


def text(words: str, **about: Any) -> Example:
    return Example("text", {"text": words}, about)


def asked(prompt: str, completion: str, **about: Any) -> Example:
    return Example("completion", {"prompt": prompt, "completion": completion}, about)


def kept(
    examples: Iterable[Example] | Mapping[str, Iterable[Example]], name: str = "made", **more: Any
) -> Dataset:
    """Examples, or examples by split, as a dataset of the home."""
    splits = examples if isinstance(examples, Mapping) else {"train": examples}
    pairs = [(example, split) for split, found in splits.items() for example in found]
    form: Form = pairs[0][0].form
    assert set(pairs[0][0].fields) == set(FIELDS[form])
    recipe = more.pop("recipe", {"kind": "import", "path": "x.jsonl"})
    with writing(name, form, recipe=recipe, **more) as draft:
        for example, split in pairs:
            draft.add(example, split)
    assert draft.dataset is not None
    return draft.dataset
