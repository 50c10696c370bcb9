"""How an engine serves one model: the canary before scores, and speed, memory and energy.

    canary = await probe(engine, "starter", {"chat", "choice"})
    canary.verdict("choice").how  # "as asked", "generative" or "refused", with the reason
    speed = await measure_speed(engine, "starter")

All of it sees an engine from outside, over its protocol, and on this machine its processes too.
"""

from __future__ import annotations

from workbench.meter._asking import processes
from workbench.meter._canary import Canary, Check, Usable, probe
from workbench.meter._load import Figure
from workbench.meter._probed import probed
from workbench.meter._setting import (
    Memory,
    Noise,
    Setting,
    clocks,
    load_average,
    memory,
    noise,
    setting,
)
from workbench.meter._speed import Point, Speed, measure_speed

__all__ = [
    "Canary",
    "Check",
    "Figure",
    "Memory",
    "Noise",
    "Point",
    "Setting",
    "Speed",
    "Usable",
    "clocks",
    "load_average",
    "measure_speed",
    "memory",
    "noise",
    "probe",
    "probed",
    "processes",
    "setting",
]
