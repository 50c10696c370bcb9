"""Which models exist, which fit this machine, which suits the task."""

from __future__ import annotations

from workbench.catalogue._card import SIZE_CLASSES, Card, Score, Variant
from workbench.catalogue._install import install

__all__ = ["SIZE_CLASSES", "Card", "Score", "Variant", "install"]
