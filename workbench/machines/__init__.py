"""Machines to ask about, this one as it was measured; and how fast a model runs on them."""

from __future__ import annotations

from workbench.machines._calibrate import (
    Calibration,
    calibrate,
    newest_calibration,
    run_calibration,
)
from workbench.machines._own_profiles import save_profile
from workbench.machines._profiles import PROFILES, find_profile, profiles, this_machine
from workbench.machines._speed import profile_speed, speed

__all__ = [
    "PROFILES",
    "Calibration",
    "calibrate",
    "find_profile",
    "newest_calibration",
    "profile_speed",
    "profiles",
    "run_calibration",
    "save_profile",
    "speed",
    "this_machine",
]
