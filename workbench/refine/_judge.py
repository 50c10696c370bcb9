"""The second pass: each document by itself, through all steps up to the search for duplicates.

<stem>.jsonl          lines of the corpus, as they will stand there
<stem>.sizes.npy      their characters
<stem>.exact.npy      a sorted run: two halves of each text's hash, and its place
<stem>.near.npy       a sorted run: number of each band, and the text's place
<stem>.signatures     128 numbers of 32 bits for each text
<stem>.json           what was counted; it is written last
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

import numpy as np

from workbench.refine import _boilerplate as boilerplate
from workbench.refine._duplicates import PLACES, Signature, bands, rows_for, signature, write_run
from workbench.refine._find import Finder, masked, places
from workbench.refine._finders import PERSONAL, SECRETS
from workbench.refine._normalise import normalised, writable
from workbench.refine._quality import reason_against
from workbench.refine._report import Tally, merge
from workbench.refine._rules import Rules
from workbench.refine._spool import Row, rows_of, write_json
from workbench.refine._tests import Index

_LINE = json.JSONEncoder(ensure_ascii=False)
_READ = 2_000  # characters by which py3langid tells the language (figures in docs/refine.md)
_SAMPLE = 50  # every 50th document is asked for its language when none is asked for


def judge(rules: Rules, part: tuple[Path, Path]) -> None:
    """All steps for each document of a chunk of the first pass, into the files of a stem beside
    what all parts need; nothing where that was done."""
    source, stem = part
    if stem.with_suffix(".json").exists():
        return
    judging = _Judging(rules, *_needed(stem.parent))
    rows = judging.left(list(rows_of(source)))
    with stem.with_suffix(".jsonl").open("wb") as out:
        for row in rows:
            line = _LINE.encode({"text": row.text, "about": row.about})
            out.write(line.encode() + b"\n")
    began = time.process_time()
    _sign(rows, stem, rules)
    judging.tally.add(time.process_time() - began, "seconds", "duplicates")
    write_json(stem.with_suffix(".json"), judging.tally)


def sign_texts(texts: Iterable[str], stem: Path, rules: Rules) -> int:
    """Signatures of another dataset's texts, and how many there are."""
    some = map(writable, texts)
    return _sign((Row(normalised(one) if rules.normalise else one) for one in some), stem, rules)


def _sign(rows: Iterable[Row], stem: Path, rules: Rules) -> int:
    """Write what the search for duplicates needs of each text."""
    sizes, exact, signatures = list[int](), list[bytes](), list[Signature | None]()
    for row in rows:
        sizes.append(len(row.text))
        if rules.exact:
            exact.append(blake2b(row.text.encode(), digest_size=16).digest())
        if rules.near:
            signatures.append(signature(row.known()))
    np.save(stem.with_suffix(".sizes.npy"), np.array(sizes, np.int64))
    if rules.exact:
        halves = np.frombuffer(b"".join(exact), "<u8").reshape(-1, 2)
        numbers = np.arange(len(halves), dtype=np.uint64)
        write_run(stem.with_suffix(".exact.npy"), halves[:, 0], halves[:, 1], numbers)
    if rules.near:
        none = np.zeros(PLACES, np.uint32)
        every = np.array([none if one is None else one for one in signatures], "<u4")
        every.tofile(stem.with_suffix(".signatures"))
        there = np.array([n for n, one in enumerate(signatures) if one is not None], int)
        keys = bands(every.reshape(-1, PLACES)[there], rows_for(rules.near))
        owners = np.repeat(there.astype(np.uint64), keys.shape[1])
        write_run(stem.with_suffix(".near.npy"), keys.reshape(-1), owners)
    return len(sizes)


class _Dropped(Exception):
    """The document does not go on: why, and what it is like where that is known."""


class _Judging:
    """The steps with their counts. Each returns the text that goes on, or raises _Dropped."""

    def __init__(self, rules: Rules, shared: frozenset[int], index: Index | None) -> None:
        self.rules, self.tally, self.shared, self.index = rules, Tally(), shared, index

    def left(self, rows: list[Row]) -> list[Row]:
        """The documents that go into the corpus."""
        for step in (self._boilerplate, self._language, self._quality,
                     self._secrets, self._personal, self._contamination):  # fmt: skip
            began, name = time.process_time(), step.__name__[1:]
            rows = self._through(name, step, rows)
            self.tally.add(time.process_time() - began, "seconds", name)
        return rows

    def _through(self, name: str, step: Callable[[Row], str], rows: list[Row]) -> list[Row]:
        left, changed, before = list[Row](), 0, [len(row.text) for row in rows]
        for row in rows:
            try:
                text = step(row)
            except _Dropped as dropped:
                reason, like = (*dropped.args, "")[:2]
                self.tally.drop(name, reason, row.about["address"], like)
                continue
            if text != row.text:
                row.text, row.shape = text, None
                changed += 1
            left.append(row)
        self.tally.through(name, before, [len(row.text) for row in left], changed)
        return left

    def _boilerplate(self, row: Row) -> str:
        if not self.rules.boilerplate:
            return row.text
        text = boilerplate.without(row.text, row.about, self.shared)
        if not text.strip():
            raise _Dropped("nothing else in it")
        return text

    def _language(self, row: Row) -> str:
        wanted = self.rules.languages
        if row.about["kind"] != "code" and (wanted or row.place % _SAMPLE == 0):
            from py3langid import classify  # 0.5 s, and often not needed

            found = str(classify(row.text[:_READ])[0])
            self.tally.add(1, "languages", found)
            if wanted and found not in wanted:
                raise _Dropped(found)
        return row.text

    def _quality(self, row: Row) -> str:
        if self.rules.quality:
            reason = reason_against(row.text, row.about, row.known())
            if reason:
                raise _Dropped(reason)
        return row.text

    def _secrets(self, row: Row) -> str:
        return self._masked("secrets", SECRETS, self.rules.secrets, row)

    def _personal(self, row: Row) -> str:
        return self._masked("personal", PERSONAL, self.rules.personal, row)

    def _masked(self, step: str, finders: tuple[Finder, ...], rule: str, row: Row) -> str:
        found = places(row.text, finders)
        kinds = Counter(place.kind for place in found)
        for kind, count in kinds.items():
            counts = {"count": count, "documents": 1, "addresses": [row.about["address"]]}
            merge(self.tally, {"found": {step: {kind: counts}}})
        if not found or rule == "keep":
            return row.text
        if rule == "drop":
            raise _Dropped(min(kinds))
        return masked(row.text, found)

    def _contamination(self, row: Row) -> str:
        found = self.index.found(row.known()) if self.index is not None else []
        for task, sample in found:
            self.tally.add([row.about["address"]], "samples", task, sample)
        if found and self.rules.contamination == "drop":
            raise _Dropped(*found[0])
        return row.text


@lru_cache(maxsize=1)
def _needed(work: Path) -> tuple[frozenset[int], Index | None]:
    """The numbers of shared lines, and the suites' samples."""
    suites = work / "suites.npz"
    shared = frozenset(np.load(work / "shared.npy").tolist())
    return shared, Index.load(suites) if suites.exists() else None
