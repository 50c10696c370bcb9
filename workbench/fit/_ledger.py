"""The ledger: what was predicted, beside what was later measured. Its store and its door.

A line holds the formula's own value (never a corrected one, so that a correction does not chase
itself) and, beside it, what was shown to the user. Only what can be true is let in. At most
`KEEP` lines stay of each quantity, backend, architecture and model.

    record(Measurement(...), Measurement(...))   # raises FitError, StoreError
    save_calibration(facts); latest_calibration()

Lines belong to a machine (`fingerprint`): a database may be shared by several.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from workbench import hardware, settings
from workbench.errors import FitError, WorkbenchError
from workbench.fit._records import Estimate, Load

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

QUANTITIES = ("memory_ram", "memory_gpu", "prompt_speed", "generation_speed")
KEEP = 500  # lines of one quantity, backend, architecture and model
FORMULA = {"memory_ram": 1, "memory_gpu": 1, "prompt_speed": 1, "generation_speed": 1}
_KEEP_CALIBRATIONS = 20
_LARGEST = 1e18
_FRESH = 5.0  # seconds for which what was read stays in use
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line for the ledger. Memory is in bytes, speed in tokens per second."""

    quantity: str  # one of QUANTITIES
    measured: float
    backend: str  # "embedded-cpu", "embedded-gpu", "ollama"
    architecture: str
    model: str
    digest: str = ""
    quantisation: str = ""
    version: str = ""  # of the backend
    load: Load | None = None
    formula: Estimate | None = None  # before any correction; None: nothing could be predicted
    corrected: Estimate | None = None  # what was shown
    counts: bool = True  # False: it was not measured under what the formula is about
    details: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""  # a line with the same key is replaced
    machine: str = ""  # "" is this one


@cache
def fingerprint() -> str:
    """A word for this machine: the same as long as its processor, memory and cards are."""
    here = hardware.machine()
    cards = sorted(card.name for card in here.gpus)
    facts = [here.cpu, here.physical_cores, here.logical_cores, round(here.memory_total / 2**30)]
    return hashlib.sha256(json.dumps([facts, cards]).encode()).hexdigest()[:16]


def save_calibration(facts: Mapping[str, Any], *, machine: str = "") -> None:
    """Keep what a machine was measured to do. Raises FitError for what is no JSON, StoreError."""
    from sqlalchemy import delete, select

    from workbench.store import StoredCalibration, session

    machine = machine or fingerprint()
    row = StoredCalibration(at=datetime.now(UTC), machine=machine, facts=_strict(facts))
    with session() as opened:
        opened.add(row)
        opened.flush()
        mine = select(StoredCalibration.id).where(StoredCalibration.machine == machine)
        old = opened.scalars(mine.order_by(StoredCalibration.id.desc()).offset(_KEEP_CALIBRATIONS))
        opened.execute(delete(StoredCalibration).where(StoredCalibration.id.in_(old.all())))
    forget()


def latest_calibration(machine: str | None = None) -> Mapping[str, Any] | None:
    """The facts saved last for this (or another) machine, with the time as `at`.

    None when there are none, or when the store cannot be used (the log says why).
    """
    found: Mapping[str, Any] | None
    found = cached("calibration", machine or fingerprint(), _read_calibration)
    return found


def _read_calibration(machine: str) -> Mapping[str, Any] | None:
    from sqlalchemy import select

    from workbench.store import StoredCalibration, session

    mine = select(StoredCalibration).where(StoredCalibration.machine == machine)
    with session(read_only=True) as opened:
        row = opened.scalars(mine.order_by(StoredCalibration.id.desc()).limit(1)).first()
    return None if row is None else {"at": row.at.isoformat(), **row.facts}


def record(*measurements: Measurement) -> None:
    """Store the lines in one transaction. Raises FitError for a line that cannot be true.

    A line whose key is there already takes its place: the memory of a load grows to its peak.
    """
    from workbench.store import session

    for one in measurements:
        _check(one)
    if not measurements:
        return
    with session() as opened:
        for one in measurements:
            _write(opened, one)
    forget()


def forget() -> None:
    """Read again what the ledger holds when it is next asked."""
    _known.clear()


def _check(one: Measurement) -> None:
    if one.quantity not in QUANTITIES:
        raise FitError(f"{one.quantity!r} is no quantity of the ledger. Use one of {QUANTITIES}.")
    if not one.backend or not one.model:
        raise FitError("A line of the ledger needs a backend and a model. Name both.")
    if not _possible(one.measured):
        raise FitError(
            f"A measured {one.quantity} of {one.measured} cannot be true. Measure it again."
        )
    for estimate in (one.formula, one.corrected):
        if estimate is not None and not (
            _possible(estimate.value)
            and 0 <= estimate.low <= estimate.value <= estimate.high < math.inf
        ):
            raise FitError(f"A predicted {one.quantity} of {estimate.value} cannot be true.")


def _possible(number: object) -> bool:
    return (
        isinstance(number, int | float)
        and not isinstance(number, bool)
        and math.isfinite(number)
        and 0 < number < _LARGEST
    )


def _write(opened: Session, one: Measurement) -> None:
    from sqlalchemy import select

    from workbench.store import StoredEstimate

    columns = _columns(one)
    known = None
    if one.key:
        known = opened.scalars(select(StoredEstimate).filter_by(key=columns["key"])).first()
    if known is None:
        opened.add(StoredEstimate(**columns))
        opened.flush()
        _drop_old(opened, columns)
        return
    for name, value in columns.items():
        setattr(known, name, value)


def _columns(one: Measurement) -> dict[str, Any]:
    formula, shown = one.formula, one.corrected
    return {
        "key": _text(one.key, 64) or uuid4().hex,
        "at": datetime.now(UTC),
        "machine": _text(one.machine, 64) or fingerprint(),
        "backend": _text(one.backend, 32),
        "version": _text(one.version, 64),
        "model": _text(one.model, 256),
        "digest": _text(one.digest, 80),
        "architecture": _text(one.architecture, 64),
        "quantisation": _text(one.quantisation, 32),
        "quantity": one.quantity,
        "load": {} if one.load is None else asdict(one.load),
        "formula": FORMULA[one.quantity],
        "predicted": formula and formula.value,
        "low": formula and formula.low,
        "high": formula and formula.high,
        "basis": "" if formula is None else _text(formula.basis, 1000),
        "corrected": shown and shown.value,
        "corrected_low": shown and shown.low,
        "corrected_high": shown and shown.high,
        "measured": float(one.measured),
        "counts": one.counts,
        "details": _strict(one.details),
    }


def _drop_old(opened: Session, columns: Mapping[str, Any]) -> None:
    from sqlalchemy import delete, select

    from workbench.store import StoredEstimate as Row

    names = ("machine", "quantity", "backend", "architecture", "model")
    group = [getattr(Row, name) == columns[name] for name in names]
    newest = select(Row.id).where(*group).order_by(Row.id.desc()).offset(KEEP).limit(1)
    last = opened.scalars(newest).first()
    if last is not None:
        opened.execute(delete(Row).where(*group, Row.id <= last))


def _text(words: str, most: int) -> str:
    """What every database takes: PostgreSQL refuses a NUL and half a surrogate."""
    return words.replace("\x00", "").encode("utf-8", "replace").decode()[:most]


def _strict(facts: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads(json.dumps(dict(facts), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise FitError(
            f"Facts for the ledger must be plain JSON ({error}). Convert them."
        ) from None
    assert isinstance(found, dict)
    return found


_known: dict[tuple[str, str, str, str], tuple[float, Any]] = {}
_told: set[str] = set()


def cached(what: str, machine: str, read: Callable[[str], Any]) -> Any:
    """What `read` finds for the machine, kept for some seconds; None when the store is unusable.

    Thousands of cards ask in a row, and none of them may fail because of the ledger.
    """
    key = (what, machine, settings.env("WORKBENCH_DATABASE_URL"), settings.env("WORKBENCH_HOME"))
    found = _known.get(key)
    if found is not None and time.monotonic() < found[0]:
        return found[1]
    try:
        value = read(machine)
    except WorkbenchError as error:
        value = None
        if str(error) not in _told:
            _told.add(str(error))
            _log.warning("the ledger cannot be read, estimates stay as they are: %s", error)
    _known[key] = (time.monotonic() + _FRESH, value)
    return value
