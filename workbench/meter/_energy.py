"""Energy in joules: of the processors from RAPL's counters, of NVIDIA cards from their power.

RAPL (Intel, and AMD through the same folder) counts microjoules of a package and of its memory
since some moment, and begins again at `max_energy_range_uj`. Packages and "dram" are added;
"core" and "uncore" lie inside a package, "psys" around all, and is taken where nothing else is.
Counters belong to the whole machine: other work on it, and its rest, are counted too. One that
goes round twice between two readings (minutes at hundreds of watts) is not noticed.

The power of cards is what nvidia-smi prints ten times a second, over time; not tried on a card.
"""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from typing import Self

POWERCAP = Path("/sys/class/powercap")
_SMI = "nvidia-smi --query-gpu=index,power.draw --format=csv,noheader,nounits -lms 100"


class Meter:
    """What this machine has consumed since the meter was entered. `source` says what is counted.

    An engine that is not `here` has a machine of its own, of which nothing is known.
    """

    def __init__(self, powercap: Path = POWERCAP, *, here: bool = True) -> None:
        self._counters: dict[Path, int] = {}
        self._microjoules = 0
        self._cards: dict[str, tuple[float, float]] = {}  # watts, and since when
        self._card_joules = 0.0
        self._smi: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._lock = threading.Lock()
        self._here, self._powercap = here, powercap
        self.source = "none: the engine is on another machine"

    def __enter__(self) -> Self:
        if not self._here:
            return self
        zones = _zones(self._powercap)
        for folder in zones.values():
            if (counted := _read(folder / "energy_uj")) is not None:
                self._counters[folder] = counted
                self.source = f"RAPL ({', '.join(zones)})"
            else:
                self.source = f"none: {folder}/energy_uj may not be read; ask an administrator"
        if not zones:
            self.source = "none: this machine shows no counters of energy"
        self._watch_cards()
        if self._cards:
            source = f"{self.source} and " if self._counters else ""
            self.source = f"{source}the power of the cards by nvidia-smi"
        return self

    def __exit__(self, *error: object) -> None:
        if self._smi is not None and self._reader is not None:
            self._smi.kill()
            self._reader.join(2)  # a tool that is stuck in its driver cannot even be killed
            if not self._reader.is_alive():
                self._smi.communicate()

    def joules(self) -> float | None:
        """Joules since the meter was entered; None when nothing is counted."""
        for folder, before in self._counters.items():
            now, limit = _read(folder / "energy_uj"), _read(folder / "max_energy_range_uj")
            if now is not None:
                self._microjoules += now - before if now >= before else now + (limit or 0) - before
                self._counters[folder] = now
        if not self._counters and not self._cards:
            return None
        with self._lock:
            moment = time.monotonic()
            since = sum(watts * (moment - then) for watts, then in self._cards.values())
            return self._microjoules / 1e6 + self._card_joules + since

    def _watch_cards(self) -> None:
        """Start nvidia-smi and wait for its first line, at most two seconds."""
        out, quiet = subprocess.PIPE, subprocess.DEVNULL
        try:
            self._smi = subprocess.Popen(
                _SMI.split(), text=True, stdin=quiet, stdout=out, stderr=quiet
            )
        except OSError:
            return
        told = threading.Event()
        self._reader = threading.Thread(target=self._read_cards, args=(told,), daemon=True)
        self._reader.start()
        told.wait(2)

    def _read_cards(self, told: threading.Event) -> None:
        for line in (self._smi and self._smi.stdout) or ():
            card, _, power = line.partition(",")
            try:
                watts, now = float(power), time.monotonic()
            except ValueError:  # "[N/A]"
                continue
            with self._lock:
                before, then = self._cards.get(card, (0.0, now))
                self._card_joules += before * (now - then)
                self._cards[card] = watts, now
            told.set()
        told.set()


def _zones(powercap: Path) -> dict[str, Path]:
    """The folders of the counters that are to be added, by what they count."""
    found: dict[str, Path] = {}
    for folder in sorted(powercap.glob("intel-rapl:*")):
        try:
            name = (folder / "name").read_text().strip()
        except OSError:
            continue
        found[name + folder.name.removeprefix("intel-rapl") if name == "dram" else name] = folder
    added = {name: at for name, at in found.items() if name.startswith(("package", "dram"))}
    return added or {name: at for name, at in found.items() if name == "psys"}


def _read(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
