"""A training in small, tried in a process of its own: `-m workbench.price._probe`.

A process of its own, since what is tried may be more than this machine has: it is watched, and
ended when it takes more memory than it may, which is an answer too. What was found is kept, by
base model, settings and machine, so that a price changes at once with epochs or examples.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from typing import IO, Any

import psutil

from workbench.errors import TrainingError
from workbench.fit import fingerprint
from workbench.settings import home

_LEAST, _STEPS, _SECONDS = 4, 24, 7.0  # updates that are made, and for how long
_LONG = 40.0  # seconds after which fewer are enough
_PATIENCE = 180.0  # seconds for all of it
_LOOK = 0.1  # seconds between two looks at its memory
_KEPT = 200  # probes in the file
_OLD = 3600.0  # seconds after which what a killed probe left is removed
_FORMAT = 2  # raise it when a probe's meaning changes


@dataclass(frozen=True, slots=True)
class Probe:
    """What the parts of a training took, in seconds. Tokens are those that are computed, with what
    batches are filled up with; those that the base is asked about are counted without."""

    amount: Mapping[str, Any]  # `recipes.Amount`
    seconds: float  # of a token that is learnt
    memory: int  # bytes, the most that the process took; on a graphics card what it took there
    precision: str = ""
    device: str = ""
    steps: int = 0  # that were timed
    warm: float = 0.0  # what the first update took more than another one
    start: float = 0.0  # before anything is done with the data
    reading: float = 0.0  # all of the data
    looking: float = 0.0  # a token that is validated
    asking: float = 0.0  # a token that the base model is asked about
    saving: float = 0.0  # a checkpoint
    writing: float | None = None  # the model; None where it is too large to try


class TooMuch(TrainingError):
    """The steps took more memory than they may; `memory` is what they had taken by then."""

    def __init__(self, memory: int) -> None:
        super().__init__(
            f"A step of this training took more than {memory >> 20} MB of memory, which this "
            "machine does not have free. Take smaller batches or a shorter context."
        )
        self.memory = memory


def probe(asked: Mapping[str, Any], most: int) -> Probe:
    """Try what is asked with at most so many bytes. Raises TooMuch, TrainingError."""
    told: dict[str, Any] = {}
    updates: list[dict[str, float]] = []
    memory = 0
    with _scratch() as scratch:
        for line in _lines({**asked, "scratch": scratch, "since": time.time()}, most):
            if "error" in line:
                raise TrainingError(line["error"])
            memory = max(memory, line.pop("memory"))
            if "computed" in line:
                updates.append(line)
            else:
                told |= line
    if "start" not in told:
        raise TrainingError(
            "Not one update of this training could be tried: it ended by itself or took too long. "
            "Look whether the base model is whole, and take smaller batches."
        )
    first, *later = updates
    seconds = _usual(later or updates)
    warm = max(0.0, first["seconds"] - seconds * first["computed"])
    return Probe(**told, seconds=seconds, memory=memory, steps=len(later) or 1, warm=warm)


def _usual(updates: Sequence[Mapping[str, float]]) -> float:
    """Seconds of a token: the median over all tokens, which a neighbour's noise does not move."""
    each = sorted((one["seconds"] / one["computed"], one["computed"]) for one in updates)
    half, below = sum(tokens for _, tokens in each) / 2, 0.0
    for seconds, tokens in each:
        below += tokens
        if below >= half:
            return seconds
    return each[-1][0]


@contextmanager
def _scratch() -> Iterator[str]:
    """A folder where trainings write; those that a kill left are removed."""
    for path in home().glob("probe-*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _OLD:
                shutil.rmtree(path, ignore_errors=True)
    with TemporaryDirectory(prefix="probe-", dir=home(), ignore_cleanup_errors=True) as folder:
        yield folder


def known(asked: Mapping[str, Any]) -> tuple[Probe | None, Probe | None, Mapping[str, Any]]:
    """The probe of exactly this, or else the newest of this base and way with other sizes, and
    what was asked then. Each is None where there is none."""
    rows = _kept()
    exact = _probe(rows.get(_key(asked)))
    if exact is not None:
        return exact, None, asked
    for row in reversed(rows.values()):
        like = isinstance(row, dict) and row.get("family") == _key(_family(asked))
        if like and (found := _probe(row)) is not None:
            return None, found, row["asked"]
    return None, None, asked


def keep(asked: Mapping[str, Any], found: Probe) -> None:
    """Keep it for the next price; a disk that refuses costs only the time to try again."""
    row = {"family": _key(_family(asked)), "asked": dict(asked), "probe": asdict(found)}
    rows = {name: one for name, one in _kept().items() if name != _key(asked)}
    newest = dict([*rows.items(), (_key(asked), row)][-_KEPT:])
    part = _file().with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        part.write_text(json.dumps(newest), "utf-8")
        part.replace(_file())


def _probe(row: Any) -> Probe | None:
    """What was kept; None for what another version kept."""
    try:
        return Probe(**row["probe"])
    except (TypeError, KeyError):
        return None


def _family(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What of it stays the same with other sizes and other data."""
    same = {name: asked["settings"][name] for name in ("method", "precision")}
    return {"recipe": asked["recipe"], "base": asked["base"]["digest"], **same}


def _key(asked: Mapping[str, Any]) -> str:
    """A word for what was asked on this machine with these libraries."""
    from importlib.metadata import version

    libraries = [version(name) for name in ("torch", "transformers", "peft")]
    facts = [_FORMAT, fingerprint(), libraries, dict(asked)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _file() -> Path:
    return home() / "probes.json"


def _kept() -> dict[str, Any]:
    try:
        found = json.loads(_file().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _lines(asked: Mapping[str, Any], most: int) -> Iterator[dict[str, Any]]:
    """The probe's lines. The program is ended when the caller stops, whatever the reason."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.price._probe"], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    lines: SimpleQueue[str] = SimpleQueue()
    output = process.stdout
    listen = threading.Thread(target=lambda: _listen(output, lines), daemon=True)
    try:
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(dict(asked)) + "\n")
            process.stdin.flush()
        listen.start()
        while line := _next_line(lines, process.pid, most):
            yield json.loads(line)
    finally:
        process.kill()
        process.wait()
        with suppress(BrokenPipeError):
            process.stdin.close()


def _listen(output: IO[str], lines: SimpleQueue[str]) -> None:
    with output:
        for line in output:
            lines.put(line)
    lines.put("")


def _next_line(lines: SimpleQueue[str], pid: int, most: int) -> str:
    """Its next line, "" at the end or when there was no patience left. Raises TooMuch."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        with suppress(Empty):
            return lines.get(timeout=_LOOK)
        with suppress(psutil.Error):
            taken = psutil.Process(pid).memory_info().rss
            if taken > most:
                raise TooMuch(taken)
    return ""


def main() -> None:
    """Try what stdin asks for. Lines are JSON objects: what `rehearse` tells with the memory that
    was taken so far, or one with an error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print belongs in the log

    def tell(**facts: Any) -> None:
        print(json.dumps(facts), file=answers, flush=True)

    try:
        _try(json.loads(sys.stdin.readline()), tell)
    except Exception as error:  # whatever training raises, the price tells it
        tell(error=str(error) or type(error).__name__)


def _try(asked: Mapping[str, Any], tell: Callable[..., None]) -> None:
    from workbench.bases import Base
    from workbench.data import find
    from workbench.learn import settings_of
    from workbench.recipes import rehearse
    from workbench.work import peak_memory

    device = ""

    def told(**facts: Any) -> None:
        nonlocal device
        device = facts.get("device", device)
        tell(**facts, memory=_on_card() if device == "cuda" else peak_memory())

    def enough(updates: int, seconds: float) -> bool:
        return seconds > _SECONDS and (updates > _LEAST or seconds > _LONG)

    base = Base(**{**asked["base"], "folder": Path(asked["base"]["folder"])})
    rehearse(
        asked["recipe"], base, find(asked["dataset"]), settings_of(asked["settings"]),
        most=_STEPS + 1, enough=enough, folder=Path(asked["scratch"]),
        since=asked["since"], tell=told,
    )  # fmt: skip


def _on_card() -> int:
    import torch

    return int(torch.cuda.max_memory_allocated())


if __name__ == "__main__":
    main()
