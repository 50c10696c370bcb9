"""The rules of validation, and the score that its parts make.

Each rule has two severities: the mild one, and the grave one from a share of the rows on. The
score is the weighted geometric mean of its parts,

    score = Π value ^ (weight / Σ weights),

where a part's value is 1 less the share of rows with a finding of that part. So a part that is
wholly wrong makes the score 0, whatever the others are. Parts that do not apply (roles, where
there are no conversations) are left out with their weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from workbench.examples import Finding, Severity

FEW, TOO_FEW, ENOUGH = 100, 10, 1000


class Rule(NamedTuple):
    part: str
    mild: Severity
    grave: Severity
    limit: float  # share of the rows from which on it is grave


RULES: Mapping[str, Rule] = {
    "format": Rule("readable", "warning", "error", 0.01),
    "ragged": Rule("readable", "warning", "error", 0.01),
    "too-large": Rule("readable", "warning", "error", 0.01),
    "role": Rule("readable", "warning", "error", 0.01),
    "changed": Rule("readable", "error", "error", 0),
    "bytes": Rule("encoding", "warning", "error", 0.05),
    "damage": Rule("encoding", "warning", "error", 0.05),
    "guessed": Rule("", "note", "note", 0),
    "unknown-role": Rule("roles", "warning", "error", 0.01),
    "system-late": Rule("roles", "warning", "error", 0.2),
    "user-late": Rule("roles", "note", "warning", 0.01),
    "twice": Rule("roles", "warning", "error", 0.2),
    "no-answer": Rule("roles", "warning", "error", 0.01),
    "unanswered": Rule("roles", "note", "warning", 0.01),
    "empty": Rule("filled", "warning", "error", 0.01),
    "too-long": Rule("fitting", "warning", "error", 0.2),
    "duplicate": Rule("unique", "note", "warning", 0.01),
    "contradiction": Rule("consistent", "note", "warning", 0.01),
    "same-pair": Rule("consistent", "warning", "error", 0.01),
    "leak": Rule("separate", "warning", "error", 0.01),
    "markup": Rule("clean", "warning", "error", 0.2),
    "placeholder": Rule("clean", "warning", "error", 0.05),
}
# part → weight, and what its value says
PARTS: Mapping[str, tuple[float, str]] = {
    "readable": (2, "rows could be read"),
    "roles": (2, "conversations have their roles in order and an answer"),
    "filled": (1, "rows have no empty text"),
    "fitting": (1, "examples fit into the model's context"),
    "encoding": (1, "rows have no damaged characters"),
    "unique": (2, "examples are there once"),
    "consistent": (1, "examples are contradicted by no other"),
    "separate": (2, "held-out examples have a prompt that is not learnt from"),
    "clean": (1, "examples are without template marks and placeholders"),
    "balanced": (0.5, "how evenly the classes are filled (entropy, 1 = evenly)"),
    "enough": (1, f"how near the number of examples is to {ENOUGH:,} (logarithms)"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the score: 0 to 1, how much it weighs, and what it says."""

    name: str
    weight: float
    value: float
    why: str


def judged(code: str, count: int, base: int) -> Severity:
    """How severe so many findings are among so many rows."""
    rule = RULES.get(code, Rule("", "warning", "warning", 0))
    return rule.grave if count > rule.limit * max(1, base) else rule.mild


def share_parts(counts: Mapping[str, int], bases: Mapping[str, int]) -> list[Part]:
    """The parts that are shares of rows; `bases` has the number of rows of those that apply."""
    parts = []
    for name, base in bases.items():
        wrong = sum(count for code, count in counts.items() if _part(code) == name)
        weight, words = PARTS[name]
        value = max(0.0, 1 - wrong / max(1, base))
        why = f"{max(0, base - wrong):,} of {base:,} {words}"
        parts.append(Part(name, weight, round(value, 4), why))
    return parts


def enough(examples: int) -> Part:
    weight, words = PARTS["enough"]
    value = min(1.0, math.log10(max(1, examples)) / math.log10(ENOUGH))
    return Part("enough", weight, round(value, 4), f"{examples:,} examples: {words}")


def balanced(classes: Mapping[str, int]) -> Part:
    """Pielou's evenness: the entropy of the classes over that of equal ones."""
    weight, words = PARTS["balanced"]
    total = sum(classes.values())
    entropy = -sum(n / total * math.log(n / total) for n in classes.values())
    value = entropy / math.log(len(classes)) if len(classes) > 1 else 0.0
    return Part("balanced", weight, round(value, 4), f"{len(classes)} classes: {words}")


def score(parts: Iterable[Part]) -> float:
    """The weighted geometric mean of the parts, 0 to 1."""
    parts = list(parts)
    if any(part.value <= 0 for part in parts):
        return 0.0
    total = sum(part.weight for part in parts)
    logs = sum(part.weight * math.log(part.value) for part in parts)
    return round(math.exp(logs / total), 4)


def verdict(findings: Iterable[Finding]) -> tuple[str, tuple[str, ...]]:
    """ok, warnings or refused, and the sentences that made it so."""
    found = list(findings)
    for severity, word in (("error", "refused"), ("warning", "warnings")):
        reasons = tuple(_reason(one) for one in found if one.severity == severity)
        if reasons:
            return word, tuple(dict.fromkeys(reasons))
    return "ok", ()


def _reason(one: Finding) -> str:
    return f"{one.message} ({one.count:,} times)" if one.count > 1 else one.message


def _part(code: str) -> str:
    return RULES[code].part if code in RULES else ""
