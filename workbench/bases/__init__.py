"""Models that a training can begin with, wherever their weights are on this machine."""

from workbench.bases._bases import Base, base_of, bases, find_base

__all__ = [
    "Base",
    "base_of",
    "bases",
    "find_base",
]
