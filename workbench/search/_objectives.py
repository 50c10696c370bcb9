"""What a search is after: figures of a trial as one number, by name or by a formula.

A formula is arithmetic over `quality` (0 to 1), `latency` (seconds of an answer asked alone),
`throughput` (written tokens per second) and `memory` (bytes), and over what the default settings
reach (`quality_default` …). It is read as Python reads it, and only numbers, these names,
+ - * / ** and min, max, abs, sqrt, log2 are let through; nothing is ever evaluated by Python.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Literal

from workbench.errors import TuneError
from workbench.texts import nearest

FIGURES = ("quality", "latency", "throughput", "memory")
GROUP = "workbench.objectives"  # entry points: an Objective, or a formula
_LONGEST, _MOST_NODES = 300, 80
_DEFAULT = "_default"
_TERMS = {  # of a weighted sum: how much better than the default, on a scale of their own
    "quality": "quality",
    "latency": "log2(latency_default / latency)",
    "throughput": "log2(throughput / throughput_default)",
    "memory": "log2(memory_default / memory)",
}
_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: math.pow,
}  # fmt: skip
_CALLS: dict[str, tuple[Callable[..., float], int]] = {  # name → function, most arguments
    "min": (min, 8), "max": (max, 8), "abs": (abs, 1), "sqrt": (math.sqrt, 1),
    "log2": (math.log2, 1),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Objective:
    """A number that is to grow or to fall."""

    name: str
    title: str
    about: str
    direction: Literal["maximize", "minimize"]
    formula: str
    unit: str = ""  # "s", "bytes", "tokens/s"; "" for a plain number

    @property
    def needs(self) -> frozenset[str]:
        """The figures that it is made of."""
        names = {node.id for node in ast.walk(_tree(self.formula)) if isinstance(node, ast.Name)}
        return frozenset(name.removesuffix(_DEFAULT) for name in names - set(_CALLS))

    def value(
        self, figures: Mapping[str, float | None], default: Mapping[str, float | None]
    ) -> float:
        """The objective of these figures, beside the default settings' ones.

        Raises TuneError where a figure that it needs was not measured, or where the formula has
        no finite value, such as after a division by zero.
        """
        known = {**figures, **{f"{name}{_DEFAULT}": value for name, value in default.items()}}
        try:
            found = _evaluated(_tree(self.formula).body, known)
        except (ArithmeticError, ValueError) as error:
            raise TuneError(f"The objective {self.name} has no value here: {error}.") from None
        if not math.isfinite(found):
            raise TuneError(f"The objective {self.name} has no finite value here.")
        return found

    def better(self, value: float, other: float) -> bool:
        """Whether `value` is the better one."""
        return value > other if self.direction == "maximize" else value < other


_BUILT_IN = (
    Objective(
        "maximize_quality", "Quality", "The suite's score, whatever it takes.", "maximize",
        "quality",
    ),
    Objective(
        "minimize_latency", "Latency", "Seconds of an answer that is asked alone. Settings whose "
        "quality is surely below the default's do not count.", "minimize", "latency", "s",
    ),
    Objective(
        "minimize_memory", "Memory", "Bytes that the loaded model takes. Settings whose quality is "
        "surely below the default's do not count.", "minimize", "memory", "bytes",
    ),
    Objective(
        "balance_quality_speed", "Quality and speed", "Half the seconds of an answer are worth 10 "
        "points of quality.", "maximize", "quality + 0.1 * log2(latency_default / latency)",
    ),
    Objective(
        "maximize_throughput", "Throughput", "Tokens written per second, with as many requests at "
        "once as the engine has slots. Settings whose quality is surely below the default's do not "
        "count.", "maximize", "throughput", "tokens/s",
    ),
)  # fmt: skip


@cache
def _objectives() -> dict[str, Objective]:
    found = {one.name: one for one in _BUILT_IN}
    for entry in entry_points(group=GROUP):
        made = entry.load()
        found[entry.name] = made if isinstance(made, Objective) else parsed(str(made), entry.name)
    return found


class _Objectives(Mapping[str, Objective]):
    """By name; installed packages are asked at the first use."""

    def __getitem__(self, name: str) -> Objective:
        return _objectives()[name]

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(_objectives())

    def __len__(self) -> int:
        return len(_objectives())


OBJECTIVES: Mapping[str, Objective] = _Objectives()


def objective(text: str) -> Objective:
    """The objective of this name or formula (`minimize latency * memory`; it is maximised where
    nothing is said; a figure alone is its named objective). Raises TuneError with what is wrong, or
    with the nearest name."""
    text = " ".join(str(text).split())
    if text in OBJECTIVES:
        return OBJECTIVES[text]
    for known in OBJECTIVES.values():
        if text == known.formula:  # `latency` alone: nobody wants the most of it
            return known
    if text.replace("_", "").isalnum():
        raise TuneError(
            f"There is no objective {text!r}.{nearest(text, OBJECTIVES)} Known are "
            f"{', '.join(OBJECTIVES)}; a formula is written over {', '.join(FIGURES)}."
        )
    return parsed(text)


def objectives(wanted: str | Sequence[str] | Mapping[str, float]) -> tuple[Objective, ...]:
    """Those that were asked for: one, several (a front is looked for), or weights of several, which
    make one sum. Raises TuneError."""
    if isinstance(wanted, str):
        wanted = [wanted]
    if isinstance(wanted, Mapping):
        wanted = [weighted(wanted)]
    found = tuple(dict.fromkeys(objective(one) for one in wanted))
    if not found:
        raise TuneError(f"A search needs an objective: one of {', '.join(OBJECTIVES)}, or several.")
    if len(found) > 4:
        raise TuneError(f"At most 4 objectives make a front that can be read, not {len(found)}.")
    return found


def weighted(weights: Mapping[str, float]) -> str:
    """A formula: the sum of weight times gain. The gain of quality is counted in points of 1, that
    of the others in doublings against the default. Raises TuneError."""
    terms = []
    for name, weight in weights.items():
        figure = next(iter(objective(name).needs)) if name in OBJECTIVES else name
        if figure not in _TERMS or name == "balance_quality_speed":
            raise TuneError(f"{name!r} cannot be weighted.{nearest(name, _TERMS)}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < 1e6:
            raise TuneError(f"The weight of {name} must be a number above 0, not {weight!r}.")
        terms.append(f"{float(weight):g} * {_TERMS[figure]}")
    if not terms:
        raise TuneError("No weights were given: name at least one objective.")
    return " + ".join(terms)


def parsed(text: str, name: str = "") -> Objective:
    """A formula as an objective. Raises TuneError with what is wrong in it."""
    direction: Literal["maximize", "minimize"] = "maximize"
    formula = text.strip()
    for word in ("maximize", "minimize"):
        if formula.startswith(f"{word} "):
            direction, formula = word, formula.removeprefix(word).strip()
    made = Objective(name or text, formula, f"{direction} {formula}", direction, formula)
    if not made.needs:
        raise TuneError(f"The objective {text!r} uses none of {', '.join(FIGURES)}.")
    return made


@cache
def _tree(formula: str) -> ast.Expression:
    """The formula as a tree, checked."""
    if len(formula) > _LONGEST:
        raise TuneError(f"An objective may have {_LONGEST} letters, not {len(formula)}.")
    try:
        tree = ast.parse(formula, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise TuneError(
            f"{formula!r} is no formula. Write arithmetic over {', '.join(FIGURES)}, such as "
            "quality - 0.05 * latency."
        ) from None
    nodes = list(ast.walk(tree))
    if len(nodes) > _MOST_NODES:
        raise TuneError("The objective's formula is too long. Simplify it.")
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        if id(node) not in called or not isinstance(node, ast.Name):  # a call checks its own name
            _check(node, formula)
    return tree


def _check(node: ast.AST, formula: str) -> None:
    if isinstance(node, ast.Expression | ast.Load | ast.operator | ast.unaryop):
        return
    if isinstance(node, ast.Constant):
        right = isinstance(node.value, int | float) and not isinstance(node.value, bool)
        if right and abs(node.value) < 1e15:  # type: ignore[arg-type]
            return
    elif isinstance(node, ast.Name):
        known = {*FIGURES, *(f"{name}{_DEFAULT}" for name in FIGURES)}
        if node.id in known:
            return
        raise TuneError(f"{node.id!r} is no figure of a trial.{nearest(node.id, sorted(known))}")
    elif isinstance(node, ast.BinOp):
        if type(node.op) in _BINARY:
            return
    elif isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.USub | ast.UAdd):
            return
    elif isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        most = _CALLS[name][1] if name in _CALLS else 0
        if not node.keywords and 1 <= len(node.args) <= most:
            return
    raise TuneError(
        f"{formula!r} has something in it that is no arithmetic. Allowed are numbers, "
        f"{', '.join(FIGURES)} (and each with {_DEFAULT}), + - * / ** and {', '.join(_CALLS)}."
    )


def _evaluated(node: ast.AST, known: Mapping[str, float | None]) -> float:
    if isinstance(node, ast.Constant):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        found = known.get(node.id)
        if found is None:
            raise TuneError(f"{node.id.removesuffix(_DEFAULT)} was not measured here.")
        return float(found)
    if isinstance(node, ast.BinOp):
        left, right = _evaluated(node.left, known), _evaluated(node.right, known)
        return float(_BINARY[type(node.op)](left, right))
    if isinstance(node, ast.UnaryOp):
        value = _evaluated(node.operand, known)
        return -value if isinstance(node.op, ast.USub) else value
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return float(_CALLS[node.func.id][0](*(_evaluated(one, known) for one in node.args)))


def dominates(one: Sequence[float], other: Sequence[float], goals: Sequence[Objective]) -> bool:
    """Whether `one` is at least as good in everything and better in something."""
    better = [goal.better(a, b) for goal, a, b in zip(goals, one, other, strict=True)]
    worse = [goal.better(b, a) for goal, a, b in zip(goals, one, other, strict=True)]
    return any(better) and not any(worse)


def front_of(values: Sequence[Sequence[float]], goals: Sequence[Objective]) -> list[int]:
    """The places of those that none dominates, the best by the first objective first; of one
    objective only the best (the first of equals)."""
    if len(goals) == 1 and values:  # asked for before each point: not all against all
        best = (max if goals[0].direction == "maximize" else min)(values, key=lambda one: one[0])
        return [next(place for place, one in enumerate(values) if one[0] == best[0])]
    places = [
        place for place, mine in enumerate(values)
        if not any(dominates(other, mine, goals) for other in values)
    ]  # fmt: skip
    sign = -1 if goals[0].direction == "maximize" else 1
    places.sort(key=lambda place: (sign * values[place][0], place))
    unique = {tuple(values[place]): place for place in reversed(places)}
    return [place for place in places if unique[tuple(values[place])] == place]
