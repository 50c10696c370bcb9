"""Points that a search asked for, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from workbench.space import Point

Values = tuple[float, ...]


@dataclass(slots=True)
class Asked:
    """A point that is to be tried. `copy` is its trial in memory; None where it has none."""

    point: Point
    key: str
    why: str = ""
    copy: int | None = None
    number: int = -1  # in the record, once it began
    bracket: int = 0  # of Hyperband: the rung before which it is never ended
    params: dict[str, Any] = field(default_factory=dict)
    distributions: dict[str, BaseDistribution] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """A point that was asked for; without values while it is tried, and where it failed."""

    point: Point
    values: Values | None = None
    number: int = -1
    whole: bool = False  # it was asked all questions
    failed: bool = False
