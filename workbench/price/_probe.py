"""A few real steps of a training, tried in a process of their own: `-m workbench.train._probe`.

A process of its own, since what is tried may be more than this machine has: it is watched, and
ended when it takes more memory than it may, which is an answer too. What was found is kept, by
base model, settings and machine, so that a price changes at once with epochs or examples.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from statistics import median
from tempfile import TemporaryDirectory
from typing import IO, Any

import psutil

from workbench.errors import TrainingError
from workbench.fit import fingerprint
from workbench.settings import home

_LEAST, _STEPS, _SECONDS = 3, 24, 6.0  # updates that are timed, and for how long
_PATIENCE = 180.0  # seconds for all of it
_LOOK = 0.1  # seconds between two looks at its memory
_KEPT = 200  # probes in the file
_BEGAN = time.perf_counter()
_FORMAT = 1  # raise it when a probe's meaning changes


@dataclass(frozen=True, slots=True)
class Probe:
    """What a few updates took."""

    amount: Mapping[str, int]  # `recipes.Amount`
    seconds: float  # for a token
    memory: int  # bytes, the most that the process took; on a graphics card what it took there
    loading: float  # seconds before the first update
    precision: str
    device: str
    steps: int  # that were timed


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
    begun: dict[str, Any] = {}
    steps: list[dict[str, Any]] = []
    with TemporaryDirectory(prefix="workbench-probe-", ignore_cleanup_errors=True) as scratch:
        for line in _lines({**asked, "scratch": scratch}, most):
            if "error" in line:
                raise TrainingError(line["error"])
            if not begun:
                begun = line
                continue
            steps.append(line)
            timed = sum(one["seconds"] for one in steps[1:])
            if len(steps) > _STEPS or (len(steps) > _LEAST and timed > _SECONDS):
                break
    if not steps:
        raise TrainingError(
            "Not one update of this training could be tried: it ended by itself or took too long. "
            "Look whether the base model is whole, and take smaller batches."
        )
    later = steps[1:] or steps  # the first one warms up, and has the longest rows
    return Probe(
        begun["amount"], median(one["seconds"] / one["tokens"] for one in later),
        max(one["memory"] for one in steps), begun["loading"], begun["precision"],
        begun["device"], len(later),
    )  # fmt: skip


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
    """Try what stdin asks for. Lines are JSON objects: the amount with what it took to come so
    far, then one for each update, or one with an error."""
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
    from workbench.recipes import Amount, rehearse
    from workbench.work import peak_memory

    on = ""

    def begun(found: Amount, precision: str, device: str) -> None:
        nonlocal on
        on = device
        tell(
            amount=asdict(found), precision=precision, device=device,
            loading=time.perf_counter() - _BEGAN,
        )  # fmt: skip

    def told(tokens: int, seconds: float) -> None:
        tell(tokens=tokens, seconds=seconds, memory=_on_card() if on == "cuda" else peak_memory())

    base = Base(**{**asked["base"], "folder": Path(asked["base"]["folder"])})
    rehearse(
        asked["recipe"], base, find(asked["dataset"]), settings_of(asked["settings"]),
        steps=_STEPS + 1, folder=Path(asked["scratch"]), begun=begun, told=told,
    )  # fmt: skip


def _on_card() -> int:
    import torch

    return int(torch.cuda.max_memory_allocated())


if __name__ == "__main__":
    main()
