"""When will it end? From the reports of how far it is.

The rate is the median of the slopes between the recent reports (Theil and Sen's estimator: a
pause or a jump among them does not move it), and *recent* is the later half of the time since the
beginning of the attempt, so a slow start is forgotten. Work whose rate changes at the end is
estimated badly; nothing here knows it.
"""

from __future__ import annotations

from itertools import combinations
from statistics import median

_MOST = 48  # reports kept; beyond it every second one goes
_FEWEST = 4
_BEGAN_AGAIN = 0.05  # a fall by so much; less is noise
_SHORTEST = 1.0  # seconds of reports before anything is said


class Estimate:
    """Collects (time, fraction) of one attempt."""

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = []
        self._latest: tuple[float, float] | None = None

    def add(self, at: float, fraction: float) -> None:
        """Note that at this time (seconds) this share was done."""
        if self._latest is not None and fraction < self._latest[1] - _BEGAN_AGAIN:
            self._points.clear()  # what was before tells nothing
        self._latest = (at, fraction)
        self._points.append(self._latest)
        if len(self._points) > _MOST:
            self._points = self._points[::2]

    def end(self) -> float | None:
        """The time at which all will be done; None while unknown."""
        if self._latest is None or len(self._points) < _FEWEST:
            return None
        at, fraction = self._latest
        began = self._points[0][0]
        if at - began < _SHORTEST:
            return None
        recent = [p for p in self._points if p[0] >= began + (at - began) / 2]
        if len(recent) < _FEWEST:
            recent = self._points[-_FEWEST:]
        slopes = [
            (f2 - f1) / (t2 - t1) for (t1, f1), (t2, f2) in combinations(recent, 2) if t2 > t1
        ]
        rate = median(slopes) if slopes else 0.0
        return at + (1.0 - fraction) / rate if rate > 0 else None
