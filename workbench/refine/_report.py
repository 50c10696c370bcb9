"""What became of the documents: step by step what was dropped, changed and found, and where."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import DataError
from workbench.refine._duplicates import Roots, Texts
from workbench.refine._rules import Rules, rules_of
from workbench.refine._tests import suites_with

# in this order; a step that was not asked for lets all documents through
STEPS = ("normalise", "boilerplate", "language", "quality", "secrets", "personal",
         "contamination", "exact", "near")  # fmt: skip
MOST_ADDRESSES = 20  # that are kept of each finding
_MOST_EXAMPLES = 5
_NUMBERS = ("documents_in", "documents_out", "characters_in", "characters_out", "changed")


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did. Characters and documents are those before and behind it."""

    name: str
    documents_in: int
    documents_out: int
    characters_in: int
    characters_out: int
    changed: int  # documents that went on with another text
    dropped: Mapping[str, int]  # by reason
    examples: Mapping[str, tuple[tuple[str, str], ...]]  # by reason: address, and what it is like


@dataclass(frozen=True, slots=True)
class Finding:
    """Secrets or personal data of one kind; what was found is told nowhere."""

    kind: str  # as its mask names it: EMAIL
    count: int
    documents: int
    addresses: tuple[str, ...]  # of the first documents


@dataclass(frozen=True, slots=True)
class Contamination:
    """One task's samples that stand in documents."""

    task: str
    suites: tuple[str, ...]
    samples: Mapping[str, tuple[str, ...]]  # sample: addresses of the first documents


_KINDS = {"steps": Step, "secrets": Finding, "personal": Finding, "contamination": Contamination}


@dataclass(frozen=True, slots=True)
class Report:
    """How documents became a corpus. Equal documents and rules make equal reports.

    `input` is the SHA-256 of the documents, `corpus` that of corpus.jsonl. `languages` counts
    documents by language: all that are not code where `rules.languages` is set, otherwise a sample
    of every 50th. `seconds` is spent time by step, of all processes, and no part of the report.
    """

    rules: Rules
    input: str
    corpus: str
    steps: tuple[Step, ...]
    secrets: tuple[Finding, ...]
    personal: tuple[Finding, ...]
    contamination: tuple[Contamination, ...]
    languages: Mapping[str, int]
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)

    @property
    def documents(self) -> int:
        """Of the corpus."""
        return self.steps[-1].documents_out

    @property
    def characters(self) -> int:
        """Of the corpus."""
        return self.steps[-1].characters_out

    def to_json(self, *, seconds: bool = True) -> dict[str, Any]:
        """As a JSON object; without seconds it is the same on every run."""
        value = asdict(self) | {"rules": self.rules.to_json()}
        if not seconds:
            del value["seconds"]
        return value

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Report:
        """From `to_json`. Raises DataError."""
        try:
            known = _frozen(value)
            for name, kind in _KINDS.items():
                known[name] = tuple(kind(**one) for one in known[name])
            return cls(**known | {"rules": rules_of(value["rules"])})
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(f"This is not a report of cleaning ({error!r}).") from None


class Tally(dict[str, Any]):
    """What is counted on the way: a JSON object, and two of them can be merged."""

    def add(self, value: float | list[Any], *path: str) -> None:
        """Add a number, or to the end of a list, under this path."""
        nested: Any = value
        for name in reversed(path):
            nested = {name: nested}
        merge(self, nested)

    def through(self, step: str, before: list[int], after: list[int], changed: int) -> None:
        """Documents of so many characters went into a step, and those that it let out."""
        numbers = (len(before), len(after), sum(before), sum(after), changed)
        merge(self, {step: dict(zip(_NUMBERS, numbers, strict=True))})

    def drop(self, step: str, reason: str, address: str, like: str = "") -> None:
        found = {"dropped": {reason: 1}, "examples": {reason: [[address, like]]}}
        merge(self, {step: found})


def merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Numbers are added, lists appended up to MOST_ADDRESSES, objects merged."""
    for name, value in other.items():
        if isinstance(value, Mapping):
            merge(into.setdefault(name, {}), value)
        elif isinstance(value, list):
            known = into.setdefault(name, [])
            known.extend(value[: MOST_ADDRESSES - len(known)])
        else:
            into[name] = into.get(name, 0) + value


def _step(name: str, counts: Mapping[str, Any]) -> Step:
    """The step's part of the tally."""
    numbers: dict[str, Any] = {one: counts.get(one, 0) for one in _NUMBERS}
    dropped = dict(sorted(counts.get("dropped", {}).items()))
    found = sorted(counts.get("examples", {}).items())
    examples = {reason: _frozen(rows[:_MOST_EXAMPLES]) for reason, rows in found}
    return Step(name, **numbers, dropped=dropped, examples=examples)


def _findings(counts: Mapping[str, Any]) -> tuple[Finding, ...]:
    """What was found by kind."""
    return tuple(Finding(kind, **_frozen(one)) for kind, one in sorted(counts.items()))


def _frozen(value: Any) -> Any:
    """With tuples for lists, at any depth."""
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    if isinstance(value, Mapping):
        return {name: _frozen(one) for name, one in value.items()}
    return value


def sizes_of(stem: Path) -> NDArray[np.int64]:
    """The characters of a part's texts."""
    sizes: NDArray[np.int64] = np.load(stem.with_suffix(".sizes.npy"))
    return sizes


def write_corpus(path: Path, texts: Sequence[Texts], equals: Roots, alikes: Roots) -> str:
    """All documents that are the first of their kind; the file's SHA-256."""
    each = np.arange(len(equals))
    gone = (equals != each) | (alikes != each)
    new, digest = path.with_name(path.name + ".new"), hashlib.sha256()
    with new.open("wb") as out:
        for part in [one for one in texts if not one.label]:
            with part.stem.with_suffix(".jsonl").open("rb") as file:
                for number, line in enumerate(file, part.first):
                    if not gone[number]:
                        out.write(line)
                        digest.update(line)
    new.replace(path)
    return digest.hexdigest()


def count_duplicates(counts: Tally, texts: list[Texts], equals: Roots, alikes: Roots) -> None:
    """Add what the steps "exact" and "near" dropped."""
    own = [part for part in texts if not part.label]
    begin = own[0].first if own else len(equals)
    sizes = np.concatenate([np.empty(0, np.int64), *(sizes_of(part.stem) for part in own)])
    here = np.ones(len(sizes), bool)
    for step, roots, like in (("exact", equals, "equal to"), ("near", alikes, "alike to")):
        dropped = here & (roots[begin:] != np.arange(begin, len(roots)))
        left = here & ~dropped
        merge(counts, {step: {
            "documents_in": int(here.sum()), "characters_in": int(sizes[here].sum()),
            "documents_out": int(left.sum()), "characters_out": int(sizes[left].sum()),
        }})  # fmt: skip
        for number in (np.flatnonzero(dropped) + begin).tolist():
            root = int(roots[number])
            label = texts[bisect_right(texts, root, key=lambda part: part.first) - 1].label
            what = f"{like} a text of {label}" if label else f"{like} an earlier document"
            merge(counts, {step: {"dropped": {what: 1}}})
            if counts[step]["dropped"][what] <= _MOST_EXAMPLES:
                pair = [_address(own, one) if one >= begin else "" for one in (number, root)]
                merge(counts, {step: {"examples": {what: [pair]}}})
        here = left


def report_of(rules: Rules, documents: str, corpus: str, counts: Mapping[str, Any]) -> Report:
    """The report of what was counted."""
    found = counts.get("found", {})
    contamination = tuple(
        Contamination(task, tuple(suites_with(task)), _frozen(dict(sorted(samples.items()))))
        for task, samples in sorted(counts.get("samples", {}).items())
    )
    return Report(
        rules, documents, corpus,
        tuple(_step(name, counts.get(name, {})) for name in STEPS),
        _findings(found.get("secrets", {})), _findings(found.get("personal", {})),
        contamination,
        dict(sorted(counts.get("languages", {}).items())),
        {name: round(value, 3) for name, value in sorted(counts.get("seconds", {}).items())},
    )  # fmt: skip


def _address(own: Sequence[Texts], number: int) -> str:
    part = next(one for one in own if one.first <= number < one.first + one.count)
    lines = part.stem.with_suffix(".jsonl").read_bytes().split(b"\n")
    return str(json.loads(lines[number - part.first])["about"]["address"])
