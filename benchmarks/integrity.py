"""How fast stored models are read and compared with their digests, against `sha256sum` and openssl.

    python benchmarks/integrity.py [--speed] [--quick] [--write]

A library of models of random bytes is made in a temporary folder and read once, so that both read
from memory and the disk does not decide. Then `verify`, `sha256sum` and `openssl dgst -sha256` (one
process for each core, each with its share of the files) read it in turns, with one core and with
all; of each the median of the rounds counts. Budget: at least 0.8 of `sha256sum` per core. Where
`sha256sum` was built without the processor's own instructions for SHA-256, openssl is the rival
that counts. A busy machine slows all of them, and makes the figures jump.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from reports import run

from workbench.hardware import usable_cores
from workbench.integrity import verify
from workbench.library import Library
from workbench.protocol import Layer, Manifest, ModelName

BUDGET = 0.8
RIVALS = ("sha256sum", "openssl dgst -sha256")
_PARTS = {"Speed": "integrity"}
_TITLE = "# Reading stored models: verify against sha256sum\n"
_PIECE = 1 << 24


def library_of(folder: Path, models: int, size: int) -> Library:
    """Models of `size` random bytes each."""
    library = Library(folder)
    for number in range(models):
        with library.blobs.writer() as writer:
            for _ in range(0, size, _PIECE):
                writer.write(os.urandom(min(_PIECE, size)))
            weights = Layer("model", writer.commit(), size)
        raw = json.dumps({"number": number}).encode()
        config = Layer("config", library.blobs.add(raw), len(raw))
        library.write_manifest(ModelName.parse(f"m{number}"), Manifest(config, (weights,)))
    return library


def shares(files: Sequence[Path], cores: int) -> list[list[str]]:
    return [[str(file) for file in files[number::cores]] for number in range(cores)]


def rival(command: str, files: Sequence[Path], cores: int) -> None:
    """One process of it on each core."""
    started = [
        subprocess.Popen([*command.split(), *share], stdout=subprocess.DEVNULL)
        for share in shares(files, cores)
    ]
    codes = [process.wait() for process in started]
    if any(codes):
        raise SystemExit(f"{command} failed")


def ours(library: Library, cores: int) -> None:
    if not verify(library, resume=False, workers=cores).ok:
        raise SystemExit("what was just written is said to be broken")


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def row(library: Library, files: Sequence[Path], cores: int, rounds: int) -> str:
    times: dict[str, list[float]] = {"ours": [], **{command: [] for command in RIVALS}}
    for _ in range(rounds):
        times["ours"].append(timed(lambda: ours(library, cores)))
        for command in RIVALS:
            times[command].append(timed(partial(rival, command, files, cores)))
    total = sum(file.stat().st_size for file in files) / 1e6 / cores
    middle = {who: statistics.median(found) for who, found in times.items()}
    speeds = " | ".join(f"{total / spent:.0f}" for spent in middle.values())
    ratios = [middle[command] / middle["ours"] for command in RIVALS]
    kept = "kept" if ratios[0] >= BUDGET else "NOT kept"
    return f"| {cores} | {speeds} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} | {kept} |"


def report(quick: bool) -> str:
    """A table with a line for one core and one for all."""
    missing = [command for command in RIVALS if not shutil.which(command.split()[0])]
    if missing:
        return f"Not measured: {', '.join(missing)} is not on this machine."
    models, size, rounds = (4, 64 << 20, 3) if quick else (4, 256 << 20, 7)
    with tempfile.TemporaryDirectory(prefix="workbench-integrity-") as folder:
        os.environ["WORKBENCH_HOME"] = f"{folder}/home"
        library = library_of(Path(folder, "models"), models, size)
        files = sorted(library.blobs.folder.glob("sha256-*"))
        ours(library, 1)
        cores = sorted({1, min(models, usable_cores()[1])})
        lines = [row(library, files, count, rounds) for count in cores]
    names = " | ".join(f"{who}, MB/s per core" for who in ("verify", *RIVALS))
    ratios = " | ".join(f"against {command.split()[0]}" for command in RIVALS)
    return "\n".join(
        [
            f"{models} models of {size >> 20} MB, read from memory; median of {rounds} rounds.",
            "",
            f"| Cores | {names} | {ratios} | budget {BUDGET} |",
            "|---" * (3 + 2 * len(RIVALS)) + "|",
            *lines,
        ]
    )


if __name__ == "__main__":
    run("integrity", __doc__, _TITLE, _PARTS, "less and fewer: some seconds")
