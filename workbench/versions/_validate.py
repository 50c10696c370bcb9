"""After the switch: is what is in use what it should be? If not, what was before comes back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench import releases, vectors
from workbench.errors import ReleaseError, WorkbenchError
from workbench.integrity import engine_faults
from workbench.versions import _keep as keep
from workbench.versions._back import embedding_digest, go_back
from workbench.versions._records import Outcome
from workbench.versions._smoke import PROMPTS
from workbench.versions._work import Work

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.engines import Engine
    from workbench.releases import Release

_ANSWER = {"temperature": 0, "seed": 0, "num_predict": 16}
_QUERY = "What is this about?"
_TRIES = 3  # a text may be replaced between being found and being searched for
_NEAR = 0.99  # cosine of a text with itself: other batches round otherwise


def validate_step(work: Work) -> Outcome:
    """Look at the release in use; where something is wrong it goes back, in one transaction.

    Raises ReleaseError with what was wrong and what was done about it.
    """
    made = releases.find(work.plan["version"])
    used = releases.current()
    if used is None or used.version != made.version:
        return Outcome("Another release is in use by now: this one is not looked at.",
                       state="skipped")  # fmt: skip
    try:
        wrong, shown = look(work.engine, made)
    except WorkbenchError as error:
        wrong, shown = [f"It cannot be looked at: {error}"], {}
    if not wrong:
        return Outcome(shown["words"], shown)
    raise ReleaseError(_gone_back(work, made, " ".join(wrong)))


def look(engine: Engine, release: Release) -> tuple[list[str], dict[str, Any]]:
    """What is wrong with a release that is in use, in sentences; and what was seen. EngineError."""
    expected = {one.model: one.digest for one in release.members}
    wrong = [f"{fault.words}." for fault in engine_faults(engine, expected)]
    if wrong:
        return wrong, {}
    answer = _answer(engine, release)
    if answer == "":
        wrong.append("The primary model answers nothing.")
    names = vectors.dependents(embedding_digest(release)) if embedding_digest(release) else []
    wrong += [text for name in names if (text := _searched(engine, name))]
    parts = [f"The engine has all {len(expected)} models as they should be"]
    parts += ["the primary one answers"] if answer else []
    parts += [f"a search finds in {', '.join(names)}"] if names else []
    return wrong, {
        "models": expected, "answer": answer, "collections": names,
        "words": f"{'; '.join(parts)}.",
    }  # fmt: skip


def _answer(engine: Engine, release: Release) -> str | None:
    """The beginning of the primary model's first answer; None without such a model."""
    primary = release.role("primary")
    if primary is None:
        return None
    for prompt in PROMPTS:
        turns = [{"role": "user", "content": prompt}]
        reply = engine.chat(primary.model, turns, options=_ANSWER)
        if said := " ".join((reply.text or reply.thinking).split()):
            return said[:200]
    return ""


def _searched(engine: Engine, name: str) -> str:
    """What is wrong with a search in a collection; "" when nothing is."""
    opened = vectors.collection(name, engine=engine)
    for _ in range(_TRIES):
        first = opened.search(_QUERY, 1)
        if not first:
            return f"A search finds nothing in {name}." if opened.stats().texts else ""
        again = opened.search(first[0].text, 1)
        if again and again[0].score >= _NEAR:
            return ""
    return f"A search in {name} does not find a text by its own words."


def _gone_back(work: Work, made: Release, wrong: str) -> str:
    """Go back, and say so; or why that could not be."""
    if not work.update.before:
        return (
            f"{wrong} There is no release before it, so {made.version} stays in use: mend it "
            "(`workbench doctor`), or make another release."
        )
    before = releases.find(work.update.before)
    why = f"{made.version} did not work: {wrong}"[:2000]

    def noted(s: Session) -> None:
        keep.step_ended(work.update.id, "validate", Outcome(wrong, state="failed"), s)
        keep.note(work.update.id, s, state="failed", error=why, ended_at=datetime.now(UTC))

    try:
        go_back(work.engine, made, before, why, noted)
    except WorkbenchError as error:
        return (
            f"{wrong} And {before.version} could not be brought back: {error} Until then "
            f"{made.version} is in use: `workbench versions rollback`."
        )
    return f"{wrong} So {before.version} is in use again, with its vectors."
