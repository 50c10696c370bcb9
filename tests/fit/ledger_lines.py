"""Lines of the ledger, for tests of it and of what is made of them."""

from __future__ import annotations

import random
from typing import Any

from sqlalchemy import select

from workbench import fit
from workbench.fit import Estimate, Load, Measurement
from workbench.store import StoredEstimate, session

GUESS = Estimate(1000.0, 800.0, 1250.0, "formula")


def line(measured: float = 1200.0, **more: Any) -> Measurement:
    fields: dict[str, Any] = {"model": "m:latest", "formula": GUESS, "load": Load()} | more
    return Measurement(
        fields.pop("quantity", "memory_ram"),
        measured,
        fields.pop("backend", "embedded-cpu"),
        fields.pop("architecture", "llama"),
        **fields,
    )


def fill(ratios: list[float], **more: Any) -> None:
    """One line of a model of its own per ratio of measured to predicted."""
    name = str(random.random())
    fit.record(
        *(line(1000.0 * ratio, model=f"{name}-{n}", **more) for n, ratio in enumerate(ratios))
    )


def corrected(estimate: Estimate = GUESS, **more: Any) -> Estimate:
    about = {"quantity": "memory_ram", "backend": "embedded-cpu", "architecture": "llama"}
    return fit.corrected(estimate, **(about | more))


def stored() -> list[StoredEstimate]:
    with session(read_only=True) as opened:
        return list(opened.scalars(select(StoredEstimate).order_by(StoredEstimate.id)))
