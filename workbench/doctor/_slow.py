"""Slow answers, and why: what the ledger measured against what it predicted, and what is seen now.

Each reason is looked for by itself and stands in a note of its own with its remedy, so that a
person sees at once which of them holds here. None of it takes more than a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

from workbench.doctor._check import Check
from workbench.doctor._slow_machine import machine_reasons
from workbench.doctor._slow_models import model_reasons

if TYPE_CHECKING:
    from workbench.engines import AsyncEngine
    from workbench.store import StoredEstimate
    from workbench.types import Model

_RECENT = timedelta(days=7)
_LINES = 3  # of a model's newest measurements, of which the median counts
_NAME = "speed"


async def slow(engine: AsyncEngine | None, models: Sequence[Model]) -> list[Check]:
    """Notes on what makes, or made, answers slow; one good line when nothing does."""
    url = engine.url if engine is not None else ""
    reasons, quiet = await asyncio.to_thread(machine_reasons, url)
    if engine is not None:
        reasons += await model_reasons(engine, models)
    found = await asyncio.to_thread(_measured, bool(reasons))
    for one in reasons:
        message = f"Answers may be slow: {one.what}."
        safe = bool(one.action)
        found.append(Check(_NAME, None, message, one.fix, one.command, one.action, "", safe))
    return found or [Check(_NAME, True, quiet)]


def _measured(explained: bool) -> list[Check]:
    """Models that lately wrote slower here than was predicted for the same work."""
    from sqlalchemy import select

    from workbench.fit import fingerprint
    from workbench.store import StoredEstimate, session

    query = (
        select(StoredEstimate)
        .where(
            StoredEstimate.machine == fingerprint(),
            StoredEstimate.quantity == "generation_speed",
            StoredEstimate.at >= datetime.now(UTC) - _RECENT,
        )
        .order_by(StoredEstimate.id.desc())
        .limit(500)
    )
    with session(read_only=True) as opened:
        return [
            check
            for lines in _by_model(opened.scalars(query))
            if (check := _slower(lines, explained)) is not None
        ]


def _by_model(rows: Iterable[StoredEstimate]) -> Iterable[list[StoredEstimate]]:
    """The newest lines of each model for which something had been predicted."""
    groups: dict[tuple[str, str], list[StoredEstimate]] = {}
    for row in rows:
        group = groups.setdefault((row.model, row.digest), [])
        if row.predicted is not None and len(group) < _LINES:
            group.append(row)
    return [group for group in groups.values() if group]


def _slower(lines: Sequence[StoredEstimate], explained: bool) -> Check | None:
    """A note when the median lies below the lowest that was predicted."""
    ratios = [row.measured / low for row in lines if (low := row.corrected_low or row.low)]
    if not ratios or median(ratios) >= 1:
        return None
    newest = lines[0]
    low, high = newest.corrected_low or newest.low, newest.corrected_high or newest.high
    message = (
        f"{newest.model} wrote {newest.measured:.3g} tokens/s on {newest.at:%Y-%m-%d}, where "
        f"{low:.3g} to {high:.3g} were predicted."
    )
    if any((row.details or {}).get("busy") for row in lines):
        return Check(_NAME, None, message, "Other programs had the processors then. Ask it again.")
    if explained:
        return Check(_NAME, None, message, "What is found below may be the reason.")
    fix = "No reason is seen now. If it stays slow, measure this machine again."
    return Check(_NAME, None, message, fix, "workbench catalogue calibrate")
