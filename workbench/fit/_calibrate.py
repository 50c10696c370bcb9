"""What this machine was measured to do: thin first version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a machine was measured to do. Rates per second."""

    at: str  # ISO, UTC
    machine: str  # fingerprint
    version: str  # of xllamacpp
    threads: int
    bandwidth: float  # main memory, bytes
    read: Mapping[str, float] = field(default_factory=dict)  # weights' bytes, by type
    compute: Mapping[str, float] = field(default_factory=dict)  # operations, by type
    spread: float = 0.1  # of repeated measurements, as a share
    busy: bool = False  # the machine did other work meanwhile


def run_calibration(
    progress: Callable[[float, str], None] | None = None, check: Callable[[], None] | None = None
) -> Calibration:
    """Measure this machine and keep the result."""
    raise NotImplementedError


def calibrate(job: Any) -> dict[str, Any]:
    """The job's target: `workbench.fit:calibrate`."""
    raise NotImplementedError


def newest_calibration() -> Calibration | None:
    """The calibration of this machine that was kept last."""
    return None
