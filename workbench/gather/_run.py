"""The job that gathers one source into a collection, document by document.

What is found is on the disk at once: a job that was killed goes on behind it, a job that was
cancelled can be resumed, and only a source that came to its end replaces what was there before.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from workbench.documents import Ask, Document, Skipped, Source
from workbench.errors import GatherError
from workbench.gather import _keep as keep
from workbench.gather._records import Gathered
from workbench.jobs import Job, JobContext, submit
from workbench.settings import home
from workbench.texts import nearest

_FRESH = 7 * 24 * 3600  # seconds in which an interrupted job can be taken up again
# Where each source is; it is imported when it is asked.
SOURCES: Mapping[str, str] = {
    "files": "workbench.gather._files:files",
    "web": "workbench.crawl:web",
    "git": "workbench.gather._git:git",
    "transcript": "workbench.gather._transcript:transcript",
}


def submit_gather(collection: str, source: str, address: str, **options: Any) -> Job:
    """Gather `address` into a collection, in a job. Raises GatherError before it is queued."""
    keep.collection(collection)
    _source(source)
    address = _local(source, address)
    arguments = {"collection": collection, "source": source, "address": address}
    return submit(
        "workbench.gather:run_gather", {**arguments, "options": options},
        title=f"Gather {address} into {collection}", kind="gather",
    )  # fmt: skip


def run_gather(
    context: JobContext,
    collection: str,
    source: str,
    address: str,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The job itself; what was gathered, as a JSON object. Raises GatherError."""
    found = asdict(gather(collection, source, address, context=context, **options or {}))
    return found | {"at": found["at"].isoformat(), "collection": collection}


def gather(
    collection: str,
    source: str,
    address: str,
    *,
    context: JobContext | None = None,
    **options: Any,
) -> Gathered:
    """Gather here and now. Raises GatherError; what was got until then is kept."""
    context = context or JobContext("", home())
    ask_source, address = _source(source), _local(source, address)
    folder = keep.collection(collection).folder / keep.key_of(source, address)
    new, scratch = folder / "new", folder / "scratch"
    for path in (new, scratch):
        path.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            facts = {"source": source, "address": address, "options": options}
            _same_asking(new, facts)
            ask = Ask(address, scratch, options)
            _collect(ask_source, ask, new, context)
            told = dict(ask.facts)
            licence = str(told.pop("licence", ""))
            return keep.keep(
                folder, new, {**facts, "facts": told, "licence": licence, "at": datetime.now(UTC)}
            )
    except Timeout:
        raise GatherError(
            f"{address} is being gathered into {collection!r} at this moment. Wait for that job."
        ) from None


def _collect(source: Source, ask: Ask, new: Path, context: JobContext) -> None:
    known = _kept(new / "documents.jsonl")
    (new / "skipped.jsonl").write_bytes(b"")  # what is skipped is told anew each time
    count = len(known)

    def tell(fraction: float | None, words: str) -> None:
        context.check_cancelled()
        context.progress(fraction, words, documents=count)

    with (new / "documents.jsonl").open("ab") as out, (new / "skipped.jsonl").open("ab") as left:
        for one in source(replace(ask, known=known.__contains__, tell=tell)):
            context.check_cancelled()
            if isinstance(one, Skipped):
                _append(left, one)
            elif one.address not in known:  # new ones are unique: sources promise it
                _append(out, one)
                count += 1
    tell(None, "Putting the documents in order")


def _append(file: BinaryIO, value: Document | Skipped) -> None:
    """At once with the system, so that a kill of ours loses none."""
    file.write(keep.row_of(value))
    file.flush()


def _kept(path: Path) -> set[str]:
    """Addresses in a file that a kill may have cut: from the first line that is not whole on, it
    is taken off, and gathered again."""
    found: set[str] = set()
    whole = 0
    path.touch()
    with path.open("rb") as file:
        for line in file:
            try:
                address = json.loads(line)["address"]
            except (ValueError, TypeError, KeyError):
                break
            if not line.endswith(b"\n"):
                break
            found.add(address)
            whole += len(line)
    os.truncate(path, whole)
    return found


def _same_asking(new: Path, facts: Mapping[str, Any]) -> None:
    """What an interrupted job got is of use only where the same is asked for, and soon."""
    marker = new / "asked.json"
    text = json.dumps(facts, sort_keys=True, default=str)
    same = marker.exists() and marker.read_text("utf-8") == text
    if not same or time.time() - marker.stat().st_mtime > _FRESH:
        for path in new.glob("*.jsonl"):
            path.unlink()
        marker.write_text(text, "utf-8")


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise GatherError(f"There is no source {name!r}.{nearest(name, SOURCES)}")
    module, _, function = SOURCES[name].partition(":")
    found: Source = getattr(import_module(module), function)
    return found


def _local(source: str, address: str) -> str:
    """The address; a path of this machine in full, since a job works in another folder.

    Raises GatherError for what is none, and for a secret in it, since addresses are stored.
    """
    if not address.strip() or "\x00" in address:
        raise GatherError("Say what to gather: a path or an address.")
    path = os.path.expanduser(address)  # noqa: PTH111 (it never fails)
    if source == "files" or os.path.exists(path):  # noqa: PTH110 (also for a name too long)
        return str(Path(path).absolute())
    try:
        parts = urlsplit(address)
    except ValueError:
        raise GatherError(f"{address[:80]!r} is no address.") from None
    if parts.password or (parts.username and parts.scheme in {"http", "https"}):
        raise GatherError(
            "The address holds a name or a password, and addresses are stored and shown. Leave it "
            "out; for Git set up a credential helper or an SSH key."
        )
    return address
