"""From documents to one corpus, with a report; killed anywhere, it goes on where it was.

    <folder>/parts/           the first pass (see _spool)
    <folder>/work-<key>/      the second one (see _judge), with what finds duplicates
    <folder>/corpus.jsonl     the corpus: {"text", "about"} a line, in the documents' order
    <folder>/report.json      the report; it is written last

The key is the digest of the documents, the rules, the suites' samples and this method's version,
so nothing that was made from something else is ever used.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock, Timeout

from workbench.errors import DataError
from workbench.refine import _report as outcome
from workbench.refine._duplicates import Roots, Texts, alike, equal, total
from workbench.refine._judge import judge, sign_texts
from workbench.refine._pool import Workers, processes
from workbench.refine._report import Report, Tally, merge
from workbench.refine._rules import Rules
from workbench.refine._spool import counts_of, shared_lines, spool, together, write_json
from workbench.refine._tests import index_of, tasks_of
from workbench.texts import nearest

if TYPE_CHECKING:  # every process of the pool would load what gathers documents
    from workbench.gather import Document

Tell = Callable[[float | None, str], None]
TextsOf = Callable[[], Iterable[str]]
_METHOD = 2  # changes when equal documents and rules would make another corpus


def clean(
    documents: Iterable[Document],
    rules: Rules,
    folder: Path,
    *,
    against: Mapping[str, TextsOf] | None = None,
    tell: Tell = lambda fraction, words: None,
    workers: int | None = None,
) -> Report:
    """Make `folder/corpus.jsonl` of the documents, by the rules; what was dropped and why.

    `against` has, by a label that names its content (such as "name@digest"), other datasets'
    texts. `tell` hears of the progress and may raise to stop. `workers` are processes (default:
    one for each core); they change nothing but the time. Raises DataError.
    """
    against = against or {}
    for label in rules.against:
        if label not in against:
            raise DataError(f"The texts of {label!r} were not given.{nearest(label, against)}")
    rules = replace(rules, against=tuple(sorted(against)))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0), Workers(workers or processes()) as pool:
            return _Run(rules, folder, tell, pool).run(documents, against)
    except Timeout:
        raise DataError(
            f"Documents are being cleaned in {folder} at this moment. Wait, or take another folder."
        ) from None


@dataclass
class _Run:
    rules: Rules
    folder: Path
    tell: Tell
    workers: Workers

    def run(self, documents: Iterable[Document], against: Mapping[str, TextsOf]) -> Report:
        tasks = tasks_of(self.rules.suites if self.rules.contamination != "keep" else ())
        self.tell(None, "Reading the benchmark suites")
        index = index_of(tasks)
        digests = self._spool(documents)
        whole = hashlib.sha256("".join(digests).encode()).hexdigest()
        facts = json.dumps([_METHOD, self.rules.to_json(), whole, index.asked])
        key = hashlib.sha256(facts.encode()).hexdigest()
        done = self._finished(key)
        self.work = self.folder / f"work-{key[:16]}"
        for path in self.folder.glob("work-*"):
            if path != self.work or done is not None:
                shutil.rmtree(path)
        if done is not None:
            return done
        self.work.mkdir(exist_ok=True)
        if tasks:
            index.save(self.work / "suites.npz")
        counts, own = self._judge(digests)
        began = time.perf_counter()
        texts = self._others(against)
        for stem, size in own:
            texts.append(Texts(stem, total(texts), size))
        equals, alikes = self._roots(texts)
        merge(counts, {"seconds": {"duplicates": time.perf_counter() - began}})
        self.tell(0.98, "Writing the corpus")
        outcome.count_duplicates(counts, texts, equals, alikes)
        corpus = outcome.write_corpus(self.folder / "corpus.jsonl", texts, equals, alikes)
        report = outcome.report_of(self.rules, whole, corpus, counts)
        write_json(self.folder / "report.json", {"key": key, "report": report.to_json()})
        shutil.rmtree(self.work)
        return report

    def _finished(self, key: str) -> Report | None:
        path = self.folder / "report.json"
        if not path.exists() or not (self.folder / "corpus.jsonl").exists():
            return None
        found = json.loads(path.read_text("utf-8"))
        return Report.of_json(found["report"]) if found["key"] == key else None

    def _spool(self, documents: Iterable[Document]) -> list[str]:
        """The first pass; the digests of its chunks."""
        place, digests = self.folder / "parts", list[str]()
        for digest in spool(documents, place, self.rules.normalise, self.workers):
            digests.append(digest)
            self.tell(None, f"{len(digests)} parts of the documents read")
        known = set(digests)
        for path in place.iterdir():
            if path.name.partition(".")[0] not in known:
                path.unlink()
        return digests

    def _judge(self, digests: list[str]) -> tuple[Tally, list[tuple[Path, int]]]:
        """The second pass: what was counted in both, and the parts with their sizes."""
        counts = Tally()
        sources = [self.folder / "parts" / digest for digest in digests]
        for source in sources:
            merge(counts, counts_of(source))
        shared = shared_lines(sources, counts.get("sites", {}))
        np.save(self.work / "shared.npy", np.array(shared, np.uint64))
        parts = [(one, self.work / f"{place:06d}") for place, one in enumerate(sources)]
        for place, _ in enumerate(self.workers.in_order(partial(judge, self.rules), parts), 1):
            self.tell(0.9 * place / len(parts), f"{place} of {len(parts)} parts cleaned")
        for _, stem in parts:
            merge(counts, counts_of(stem))
        return counts, [(stem, len(outcome.sizes_of(stem))) for _, stem in parts]

    def _others(self, against: Mapping[str, TextsOf]) -> list[Texts]:
        """Other datasets' texts, signed."""
        found: list[Texts] = []
        for number, (label, texts) in enumerate(sorted(against.items())):
            for place, some in enumerate(together(texts(), len)):
                self.tell(None, f"Reading {label}")
                stem = self.work / f"against-{number:03d}-{place:06d}"
                count = sign_texts(some, stem, self.rules)
                found.append(Texts(stem, total(found), count, label))
        return found

    def _roots(self, texts: list[Texts]) -> tuple[Roots, Roots]:
        """For each text the first that is equal, and the first that is alike."""
        tell = partial(self.tell, 0.95, "Comparing documents with one another")
        equals = alikes = np.arange(total(texts), dtype=np.int32)
        if self.rules.exact:
            equals = equal(texts, tell)
        if self.rules.near and texts:
            alikes = alike(texts, equals, self.rules.near, tell)
        return equals, alikes
