"""Whether a role's model answers better in one release than in another, as far as was measured."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbench.errors import ReleaseError
from workbench.releases._keep import find
from workbench.releases._measured import finished
from workbench.releases._records import Member, Release

if TYPE_CHECKING:
    from workbench.bench import Run
    from workbench.statistics import Difference

Verdict = Literal["better", "worse", "undecided", "same", "unmeasured"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How release b's model of a role does against release a's."""

    role: str
    a: str  # versions
    b: str
    models: tuple[str, str]  # of a, of b
    verdict: Verdict  # about b
    words: str
    suite: str = ""
    runs: tuple[str, str] = ("", "")  # of a, of b
    difference: Difference | None = None  # b less a, on the same questions
    left_out: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()  # what to run where it was not measured


def compare(
    a: Release | str, b: Release | str, role: str = "primary", suite: str | None = None
) -> Comparison:
    """The Benchmarks room's paired comparison of the newest finished runs of both models; on
    `suite`, else on the one that was measured last of both. Where there are none, what to run.

    Raises ReleaseError for an unknown release or a role that one of them has not.
    """
    first, second = (find(one) if isinstance(one, str) else one for one in (a, b))
    before, after = _member(first, role), _member(second, role)
    about = (role, first.version, second.version, (before.model, after.model))
    if before.digest == after.digest:
        words = f"{role} is the same model in {first.version} and {second.version}."
        return Comparison(*about, "same", words)
    if before.embedding is not None or after.embedding is not None:
        words = "Models that make vectors answer no questions: compare what a search finds."
        return Comparison(*about, "unmeasured", words)
    pair = _pair(finished(before.digest, suite), finished(after.digest, suite))
    if pair is None:
        words, line = _unmeasured(before, after, suite)
        return Comparison(*about, "unmeasured", words, suite or "", commands=(line,))
    from workbench.bench import compare as side_by_side

    old, new = pair
    told = side_by_side([new.id, old.id])
    found = told.pairs[0]
    verdict: Verdict = found.overall.verdict if found.overall else "undecided"
    return Comparison(
        *about, verdict, found.words, new.suite, (old.id, new.id), found.overall, told.left_out
    )


def _member(release: Release, role: str) -> Member:
    found = release.role(role)
    if found is None:
        roles = ", ".join(one.role for one in release.members)
        raise ReleaseError(
            f"The release {release.version} has no model of the role {role!r:.80}. It has {roles}."
        )
    return found


def _pair(old: list[Run], new: list[Run]) -> tuple[Run, Run] | None:
    """The first two that were asked the same questions under like options, else of one suite."""
    pairs = [(a, b) for b in new for a in old if a.suite == b.suite]
    same = (one for one in pairs if _asked(one[0]) == _asked(one[1]))
    return next(same, pairs[0] if pairs else None)


def _asked(run: Run) -> tuple[object, ...]:
    return run.setting, sorted((task["name"], task["fingerprint"]) for task in run.tasks)


def _unmeasured(before: Member, after: Member, suite: str | None) -> tuple[str, str]:
    """In words, and the command that measures them; both names are one where a new version has
    the name of the old one, which must be brought back under another name first."""
    known = sorted({run.suite for one in (before, after) for run in finished(one.digest)})
    named = suite or next(iter(known), "")
    models = dict.fromkeys((before.model, after.model))
    line = shlex.join(["workbench", "bench", "run", *models, "--suite", named or "SUITE"])
    lacking = (one.model for one in (before, after) if not finished(one.digest, suite))
    missing = list(dict.fromkeys(lacking))
    which, have = " and ".join(missing) or "Both", "has" if len(missing) == 1 else "have"
    on = f" on {named}" if named else ""
    words = f"{which} {have} no finished run{on}: measure before you compare."
    return words, line
