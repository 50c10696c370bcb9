"""The old model and the new one on the same questions, and the gate: may the new one go on?

Runs that were made before count when they asked this very version these very questions. Models that
make vectors answer none; they are set to find passages (`_retrieval`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.errors import ReleaseError
from workbench.store import StoredRun, session
from workbench.versions._records import Change, GateClosed, Outcome
from workbench.versions._retrieval import compare_retrieval
from workbench.versions._shelf import Shelf, bare

if TYPE_CHECKING:
    from workbench.bench import Run
    from workbench.versions._part import Part
    from workbench.versions._work import Work

_MOST_RUNS = 50  # earlier ones that are looked at


def measure_step(work: Work) -> Outcome:
    """Measure what is new. Raises GateClosed, WorkbenchError."""
    new = [one for one in work.changes if not one.same_version]
    found = [
        (_retrieved if one.embedding else _measured)(work, one, work.context.inner(at, len(new)))
        for at, one in enumerate(new)
        if one.embedding or work.plan["suite"]
    ]
    if not found:
        words = "No suite was named." if new else "The models are the same under other names."
        return Outcome(f"{words} Nothing was measured.", state="skipped")
    evidence = {"gate": work.plan["gate"], "roles": found}
    closed = [one["words"] for one in found if not one["passed"]]
    if closed:
        raise GateClosed(
            f"{' '.join(closed)} The gate is {work.plan['gate']!r}, so nothing was changed.",
            evidence,
        )
    return Outcome(" ".join(one["words"] for one in found), evidence)


def fitting(digest: str, plan: Mapping[str, Any]) -> Run | None:
    """The newest finished run of this version on these very questions, under its own settings."""
    from workbench.bench import get_run
    from workbench.tasks import find_any

    suite = find_any(plan["suite"])
    named = (StoredRun.digest.in_((digest, f"sha256:{digest}")), StoredRun.suite == suite.name)
    query = select(StoredRun.id).where(*named, StoredRun.state == "done")
    with session(read_only=True) as s:
        ids = s.scalars(query.order_by(StoredRun.number.desc()).limit(_MOST_RUNS)).all()
    runs = [run for run in map(get_run, ids) if not run.setting and run.seed == plan["seed"]]
    if not runs:
        return None
    asked = {
        task.name: task.fingerprint(task.samples(plan["limit"], plan["seed"]))
        for task in suite.tasks
    }
    same = (r for r in runs if {t["name"]: t["fingerprint"] for t in r.tasks} == asked)
    return next(same, None)


def passes(gate: str, verdict: str | None, before: bool) -> bool:
    """Whether the gate lets a model through; None is a verdict that could not be had."""
    if gate == "none" or not before:
        return True
    if verdict is None:
        return False
    return verdict == "better" if gate == "better" else verdict != "worse"


def _measured(work: Work, change: Change, share: Part) -> dict[str, Any]:
    from workbench.bench import compare, result

    digest = work.digest(change)
    old = _run_of(work, share.inner(0, 2), change.before_digest, change.before_model)
    new = _run_of(work, share.inner(1, 2), digest, change.model)
    if new is None:
        raise ReleaseError(f"{change.model} is another model than it was. Begin another update.")
    score = result(new).score
    kept: dict[str, Any] = {
        "role": change.role, "model": change.model, "digest": digest, "suite": new.suite,
        "score": asdict(score) if score else None,
    }  # fmt: skip
    if old is None:
        words = _alone(change, kept)
        passed = passes(work.plan["gate"], None, bool(change.before_digest))
        return {**kept, "runs": ["", new.id], "verdict": None, "passed": passed, "words": words}
    pair = compare([new.id, old.id]).pairs[0]
    verdict = pair.overall.verdict if pair.overall and pair.overall.n else None
    passed = passes(work.plan["gate"], verdict, True)
    return {
        **kept, "runs": [old.id, new.id], "verdict": verdict, "passed": passed,
        "difference": asdict(pair.overall) if pair.overall else None,
        "words": f"{change.role}: {pair.words}",
    }  # fmt: skip


def _alone(change: Change, kept: Mapping[str, Any]) -> str:
    score = kept["score"]
    said = f"{score['value']:.1%}" if score and score["value"] is not None else "no score"
    why = (
        f"{change.before_model} is not here any more to compare it with"
        if change.before_digest
        else "there was no model in this role to compare it with"
    )
    return f"{change.role}: {change.model} has {said} on {kept['suite']}; {why}."


def _run_of(work: Work, part: Part, digest: str, name: str) -> Run | None:
    """A run of this version: one that fits, else a new one; None where it is not here."""
    from workbench.bench import get_run, run_matrix

    plan = work.plan
    kept = fitting(digest, plan) if digest else None
    if kept is not None:
        part.progress(1.0, f"{name} was measured before (run {kept.id})")
        return kept
    model = Shelf(work.engine).having(digest, name)
    if not model:
        return None
    done = run_matrix(
        part, [model], [plan["suite"]], engine=work.engine.url, limit=plan["limit"],
        seed=plan["seed"],
    )  # fmt: skip
    run = get_run(done["runs"][0])
    return run if bare(run.digest) == digest else None


def _retrieved(work: Work, change: Change, share: Part) -> dict[str, Any]:
    digest, plan = work.digest(change), work.plan
    share.progress(0.0, f"{change.model}: finding passages")
    old = Shelf(work.engine).having(change.before_digest, change.before_model)
    found = compare_retrieval(work.engine, change.model, old)
    passed = passes(plan["gate"], found["verdict"], bool(change.before_digest))
    return {**found, "role": change.role, "digest": digest, "passed": passed,
            "words": f"{change.role}: {found['words']}"}  # fmt: skip
