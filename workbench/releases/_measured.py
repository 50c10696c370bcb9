"""What the Benchmarks room measured of a model, by its digest, for each machine and suite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.releases._records import Member
from workbench.store import StoredRun, session

if TYPE_CHECKING:
    from workbench.bench import Run

ELSEWHERE = "another machine"  # of an engine that is not on the one that measured


def measurements(digest: str) -> tuple[dict[str, Any], ...]:
    """The newest finished run of each machine and suite; runs under the model's own settings go
    before those with options of their own, the usual questions before those of another seed.

    machine            in words, as `machine_words` has it
    tokens_per_second  generation; None where it was not measured
    first_token_seconds
    suite, score, low, high   0 to 1, with the interval's ends
    run, at            the run's id, and when it ended (ISO 8601)
    """
    from workbench.bench import result

    found: dict[tuple[str, str], dict[str, Any]] = {}
    for run in finished(digest):
        key = (machine_words(run.facts.get("machine")), run.suite)
        if key in found:
            continue
        told = result(run)
        score = told.score
        found[key] = {
            "machine": key[0],
            "tokens_per_second": _rounded(told.tokens_per_second),
            "first_token_seconds": _rounded(told.first_token),
            "suite": run.suite,
            "score": _rounded(score.value) if score else None,
            "low": _rounded(score.low) if score else None,
            "high": _rounded(score.high) if score else None,
            "run": run.id,
            "at": (run.ended_at or run.created_at).isoformat(timespec="seconds"),
        }
    return tuple(found[key] for key in sorted(found))


def measured_since(member: Member) -> tuple[Mapping[str, Any], ...]:
    """What the release says of its member, and what was measured here of the same version on other
    machines or suites."""
    rows = [*member.measured, *measurements(member.digest)]
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        found.setdefault((str(row.get("machine", "")), str(row.get("suite", ""))), row)
    return tuple(found[key] for key in sorted(found))


def finished(digest: str, suite: str | None = None) -> list[Run]:
    """A model's finished runs: those under its own settings first, among them those with the usual
    questions (seed 0), among them the newest."""
    from workbench.bench import get_run

    bare = digest.removeprefix("sha256:")
    query = select(StoredRun.id).where(
        StoredRun.digest.in_((bare, f"sha256:{bare}")), StoredRun.state == "done"
    )
    if suite is not None:
        query = query.where(StoredRun.suite == suite)
    with session(read_only=True) as s:
        ids = s.scalars(query.order_by(StoredRun.number.desc())).all() if bare else []
    return sorted(map(get_run, ids), key=lambda run: (bool(run.setting), run.seed != 0))


def machine_words(machine: Mapping[str, Any] | None) -> str:
    """A machine in a line, equal for machines that are as good: `AMD EPYC 7763, 2 cores, 8 GB`."""
    if not machine:
        return ELSEWHERE
    cores = int(machine.get("physical_cores") or 0)
    memory = round(int(machine.get("memory_total") or 0) / 1e9)
    cards = [str(card.get("name", "")) for card in machine.get("gpus") or ()]
    parts = [str(machine.get("cpu") or "unknown processor"), f"{cores} cores", f"{memory} GB"]
    return ", ".join([*parts, *sorted(filter(None, cards))])


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
