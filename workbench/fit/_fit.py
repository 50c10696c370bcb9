"""Whether and how a network fits a machine: thin first version."""

from __future__ import annotations

from dataclasses import replace

from workbench.fit._memory import memory
from workbench.fit._records import Architecture, Fit, Load, Network, Profile, Speed


def fit(network: Network, load: Load, profile: Profile, *, speed: Speed | None = None) -> Fit:
    """Whether `network` fits `profile`, and how comfortably."""
    taken = memory(network, load)
    headroom = int(profile.memory - taken.ram.value)
    verdict = "no" if headroom < 0 else "tight" if headroom < 0.1 * profile.memory else "ram"
    score = max(0.0, min(1.0, headroom / max(profile.memory, 1)))
    return Fit(verdict, taken, speed, load, headroom, score, (), ())


def largest_context(network: Network, load: Load, profile: Profile) -> int | None:
    """The largest context that fits, at most the trained one; None when none does."""
    low, high = 0, network.architecture.context or 131072
    while low < high:
        middle = (low + high + 1) // 2
        if memory(network, replace(load, context=middle)).ram.value <= profile.memory:
            low = middle
        else:
            high = middle - 1
    return low or None


def best_quantisation(architecture: Architecture, load: Load, profile: Profile) -> str | None:
    """The quantisation of most bits that fits; None when none does."""
    return None
