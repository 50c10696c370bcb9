"""How fast documents become a corpus, with how much memory, and are the duplicates found.

    python benchmarks/data.py [--quick] [--write]

Documents are made of the paragraphs of Python's standard library (its code, docstrings and topics)
in a seeded order with seeded changes; copies with one word in a hundred changed are planted, and
others with one in twelve, which are no duplicates. Sizes: 10 MB, 100 MB and 1 GB; `--quick` takes
10 and 50 MB. The rival is datasketch (MinHash and MinHashLSH in memory, as its documentation shows
it), which searches for duplicates and does nothing else; so our search alone is measured too.
`--write` puts the tables into docs/benchmarks/data.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
from data_documents import make

_REPORT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "data.md"
_MB = 1_000_000
_RIVAL_MOST = 100 * _MB  # it takes minutes for that


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="10 and 50 MB")
    parser.add_argument("--write", action="store_true", help=f"also into docs/{_REPORT.name}")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(_WORKERS[options.worker[0]](*map(Path, options.worker[1:]))))
        return
    sizes = [10, 50] if options.quick else [10, 100, 1000]
    text = f"{_circumstances(options.quick)}\n\n{report(sizes)}"
    print(text, flush=True)
    if options.write:
        _REPORT.parent.mkdir(parents=True, exist_ok=True)
        _REPORT.write_text(f"# Data: from documents to a corpus\n\n{text}\n", "utf-8")


def report(sizes: list[int]) -> str:
    """The tables, as Markdown."""
    rows, times = [], dict[str, float]()
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="benchmark-data-") as name:
            folder = Path(name)
            planted = make(folder / "input.jsonl", size * _MB)
            ways = ["ours"] + ["search", "datasketch"] * (size * _MB <= _RIVAL_MOST)
            for way in ways:
                found = _measured(way, folder) | {"size": size, "way": way}
                found |= _right(found, planted)
                print(found | {"near": len(found["near"])}, file=sys.stderr, flush=True)
                times = found["seconds"] if way == "ours" else times
                rows.append(found)
    return f"{_table(rows)}\n\n{_ratios(rows)}\n\n{_times(times)}"


# ---- what is measured, each in a process of its own


def _search(folder: Path, source: Path) -> dict[str, Any]:
    """Only what finds duplicates, in one process as the rival."""
    from workbench.refine import Rules
    from workbench.refine._duplicates import Texts, alike, equal
    from workbench.refine._judge import sign_texts

    began = time.perf_counter()
    folder.mkdir()
    addresses, parts = list[str](), list[Texts]()
    with source.open("rb") as file:
        while some := [json.loads(line) for line in islice(file, 500)]:
            stem = folder / f"{len(parts):06d}"
            rules = Rules(normalise=False)
            count = sign_texts((row["text"] for row in some), stem, rules)
            parts.append(Texts(stem, len(addresses), count))
            addresses += [row["address"] for row in some]
    equals = equal(parts, lambda: None)
    alikes = alike(parts, equals, 0.8, lambda: None)
    gone = [one for n, one in enumerate(addresses) if equals[n] != n or alikes[n] != n]
    return {"wall": time.perf_counter() - began, "seconds": {}, "in": len(addresses), "near": gone}


def _ours(folder: Path, source: Path) -> dict[str, Any]:
    from workbench.gather import Document
    from workbench.refine import Rules, clean

    def documents() -> Iterator[Document]:
        with source.open("rb") as file:
            for line in file:
                yield Document(**json.loads(line))

    began = time.perf_counter()
    found = clean(documents(), Rules(contamination="report"), folder)
    seconds = time.perf_counter() - began
    with (folder / "corpus.jsonl").open("rb") as file:
        kept = {json.loads(line)["about"]["address"] for line in file}
    gone = sorted(one for one in _addresses(source) if one not in kept)
    return {"wall": seconds, "seconds": dict(found.seconds), "near": gone,
            "in": found.steps[0].documents_in}  # fmt: skip


def _datasketch(folder: Path, source: Path) -> dict[str, Any]:
    from datasketch import MinHash, MinHashLSH

    began = time.perf_counter()
    lsh, gone = MinHashLSH(threshold=0.8, num_perm=128), []
    count = 0
    with source.open("rb") as file:
        for line in file:
            row = json.loads(line)
            words = re.findall(r"\w+", row["text"].lower())
            sketch = MinHash(num_perm=128)
            sketch.update_batch(
                {" ".join(words[n : n + 5]).encode() for n in range(max(len(words) - 4, 1))}
            )
            if lsh.query(sketch):
                gone.append(row["address"])
            else:
                lsh.insert(row["address"], sketch)
            count += 1
    return {"wall": time.perf_counter() - began, "seconds": {}, "in": count, "near": gone}


_WORKERS = {"ours": _ours, "search": _search, "datasketch": _datasketch}


def _addresses(source: Path) -> Iterator[str]:
    with source.open("rb") as file:
        for line in file:
            yield json.loads(line)["address"]


def _measured(way: str, folder: Path) -> dict[str, Any]:
    """What the worker says, its processor time, and the peak memory of its processes together."""
    out = folder / way
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, __file__, "--worker", way, str(out), str(folder / "input.jsonl")]
    with (folder / "told").open("w+b") as told:
        process = subprocess.Popen(command, stdout=told)
        peak = 0
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(0.05)
        told.seek(0)
        if process.returncode:
            raise SystemExit(f"{way} failed with {process.returncode}")
        found: dict[str, Any] = json.loads(told.read())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(out, ignore_errors=True)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = (folder / "input.jsonl").stat().st_size
    return found | {"peak": peak, "spent": spent, "bytes": size}


def _memory(pid: int) -> int:
    total = 0
    try:
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.Error:
        return total
    return total


def _right(found: dict[str, Any], planted: dict[str, str]) -> dict[str, float]:
    """Of the planted duplicates, how many were dropped; of the dropped, how many were planted."""
    alike = {address for address, kind in planted.items() if kind != "related"}
    dropped = set(found["near"])
    return {"recall": len(alike & dropped) / max(len(alike), 1),
            "precision": len(alike & dropped) / max(len(dropped), 1)}  # fmt: skip


# ---- tables

_NAMES = {"ours": "all steps", "search": "duplicates alone", "datasketch": "datasketch"}


def _circumstances(quick: bool) -> str:
    return (
        f"Made by `python benchmarks/data.py{' --quick' * quick} --write` on {date.today()}: "
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load "
        f"average {os.getloadavg()[0]:.1f} before. {(__doc__ or '').split(chr(10) * 2)[2]}"
    )


def _table(rows: list[dict[str, Any]]) -> str:
    lines = ["| size | | documents | MB/s | MB/s of a core | peak memory | found | right |",
             "|---|---|--:|--:|--:|--:|--:|--:|"]  # fmt: skip
    for row in rows:
        size = row["bytes"] / _MB
        lines.append(
            f"| {row['size']} MB | {_NAMES[row['way']]} | {row['in']:,} | {size / row['wall']:.1f} "
            f"| {size / row['spent']:.1f} | {row['peak'] / _MB:.0f} MB | {row['recall']:.1%} "
            f"| {row['precision']:.1%} |"
        )
    return "\n".join(lines) + (
        "\n\nPeak memory is that of all processes together. *Found*: planted duplicates that were "
        "dropped; *right*: of the documents that were dropped, those that are planted duplicates "
        "(with all steps, others are dropped for their quality)."
    )


def _ratios(rows: list[dict[str, Any]]) -> str:
    said = []
    for row in rows:
        rival = [r for r in rows if r["way"] == "datasketch" and r["size"] == row["size"]]
        if row["way"] == "search" and rival:
            said.append(
                f"At {row['size']} MB the search for duplicates takes "
                f"1/{rival[0]['spent'] / row['spent']:.1f} of datasketch's processor time and "
                f"1/{rival[0]['wall'] / row['wall']:.1f} of its time."
            )
    ours = [row for row in rows if row["way"] == "ours"]
    said += [
        f"Memory at {ours[-1]['size']} MB is {ours[-1]['peak'] / row['peak']:.2f} times that at "
        f"{row['size']} MB."
        for row in ours[:-1]
    ]
    return " ".join([*said, "The smallest is cleaned in one process, the others in one per core."])


def _times(seconds: dict[str, float]) -> str:
    total = sum(seconds.values())
    parts = sorted(seconds.items(), key=lambda one: -one[1])
    shares = ", ".join(f"{name} {value / total:.0%}" for name, value in parts)
    return f"What the time of the largest goes into: {shares}."


if __name__ == "__main__":
    main()
