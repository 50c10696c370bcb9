"""How fast a network reads and writes: thin first version."""

from __future__ import annotations

from workbench.fit._calibrate import Calibration
from workbench.fit._records import Load, Network, Profile, Speed


def speed(network: Network, load: Load, calibration: Calibration | None = None) -> Speed | None:
    """Tokens per second on this machine; None without a calibration (the newest is taken)."""
    return None


def profile_speed(network: Network, load: Load, profile: Profile) -> Speed | None:
    """Tokens per second on a profile: measured for "this", from data sheets for the others."""
    return None
