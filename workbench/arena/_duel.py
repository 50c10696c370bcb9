"""The job in which a model judges the answers of two runs, pair by pair, in both orders."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from workbench.arena._votes import Side, vote, votes
from workbench.bench import Helpers, flips, get_run
from workbench.engines import connect
from workbench.errors import BenchError
from workbench.jobs import Job, JobContext, submit
from workbench.scorers import Agreement, agreement, judge_pair
from workbench.statistics import bradley_terry


def submit_duel(a: str, b: str, judge: str, *, limit: int = 50) -> Job:
    """Let `judge` compare the answers of two runs, in a job. Raises BenchError."""
    first, second = get_run(a), get_run(b)
    title = f"{judge} judges {first.label} and {second.label}"
    arguments = {"a": first.id, "b": second.id, "judge": judge, "limit": limit}
    return submit("workbench.arena:run_duel", arguments, title=title, kind="judge")


def run_duel(
    context: JobContext, a: str, b: str, judge: str, limit: int = 50, engine: str | None = None
) -> dict[str, Any]:
    """Votes of the judge on the samples whose answers differ; those it gave already stand."""
    first, second = get_run(a), get_run(b)
    if judge in {first.model, second.model}:
        raise BenchError(f"{judge} cannot judge its own answers. Name another model as judge.")
    seen = {vote.more.get("pair") for vote in votes(voter=judge)}
    pairs = [one for one in flips(a, b) if one.a.output or one.b.output][:limit]
    untold = 0
    with connect(engine) as opened:
        helpers = Helpers(opened.url, "", judge, ())
        tools = helpers.tools(judging=True)
        for number, one in enumerate(pairs):
            context.check_cancelled()
            key = f"{first.id}/{second.id}/{one.task}/{one.sample}"
            if key not in seen:
                asked = str(one.a.about["prompt"])
                winner, why = judge_pair(asked, one.a.output, one.b.output, tools)
                untold += winner is None
                if winner is not None:
                    sides = (
                        Side(first.model, one.a.output, first.digest),
                        Side(second.model, one.b.output, second.digest),
                    )
                    vote(asked, *sides, winner, voter=judge, pair=key, detail=why)
            context.progress(
                (number + 1) / len(pairs), f"{number + 1} of {len(pairs)} pairs judged"
            )
    games = [
        (v.a.model, v.b.model, {"a": 1.0, "b": 0.0}.get(v.winner, 0.5)) for v in votes(voter=judge)
    ]
    rated = [asdict(one) for one in bradley_terry(games)] if games else []
    return {"judged": len(pairs) - untold, "untold": untold, "ratings": rated}


def judge_agreement(judge: str) -> Agreement:
    """How often the judge said what the user said, on pairs of answers that both voted on."""
    mine = {(v.question, v.a.answer, v.b.answer): v.winner for v in votes(voter="user")}
    flipped = {"a": "b", "b": "a"}
    judged: list[str] = []
    rated: list[str] = []
    for one in votes(voter=judge):
        straight = mine.get((one.question, one.a.answer, one.b.answer))
        turned = mine.get((one.question, one.b.answer, one.a.answer))
        said = straight or (flipped.get(turned, turned) if turned else None)
        if said:
            judged.append("tie" if one.winner == "neither" else one.winner)
            rated.append("tie" if said == "neither" else said)
    return agreement(judged, rated)
