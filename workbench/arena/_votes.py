"""Which of two answers is preferred: votes of people and of judging models, and what they say.

A vote is kept with both answers, so that it is preference data as well: `preferences` writes what
trainers for preferences read. Ratings are Bradley-Terry's, with intervals; they are of the
questions that were asked, by the people who asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any, Literal

from sqlalchemy import delete, select

from workbench.errors import BenchError
from workbench.statistics import Rating, bradley_terry
from workbench.store import StoredVote, clean, session
from workbench.types import Json

Winner = Literal["a", "b", "tie", "neither"]
_POINTS = {"a": 1.0, "b": 0.0, "tie": 0.5, "neither": 0.5}


@dataclass(frozen=True, slots=True)
class Side:
    """One of two answers."""

    model: str
    answer: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Vote:
    """Which of two answers to a question was preferred, and by whom."""

    id: int
    at: datetime
    voter: str  # "user", or the judging model
    question: str
    a: Side
    b: Side
    winner: Winner
    more: Json


def vote(
    question: str, a: Side, b: Side, winner: Winner, *, voter: str = "user", **more: Any
) -> Vote:
    """Keep a vote. "neither" says that both are bad. Raises BenchError."""
    if winner not in _POINTS:
        raise BenchError(f"A vote is for a, b, tie or neither, not {winner!r}.")
    if a.model == b.model and a.digest == b.digest:
        raise BenchError("Both answers are of one model: there is nothing to vote on.")
    row = StoredVote(
        at=datetime.now(UTC), voter=clean(voter)[:256], question=clean(question),
        model_a=clean(a.model)[:256], model_b=clean(b.model)[:256], digest_a=a.digest,
        digest_b=b.digest, answer_a=clean(a.answer), answer_b=clean(b.answer), winner=winner,
        more=clean(more),
    )  # fmt: skip
    with session() as opened:
        opened.add(row)
    return _vote(row)


def votes(*, voter: str | None = None, models: Iterable[str] | None = None) -> list[Vote]:
    """All votes, the newest first; of one voter, between these models."""
    query = select(StoredVote).order_by(StoredVote.id.desc())
    if voter is not None:
        query = query.where(StoredVote.voter == voter)
    with session(read_only=True) as opened:
        found = [_vote(row) for row in opened.scalars(query).all()]
    wanted = None if models is None else set(models)
    return [v for v in found if wanted is None or {v.a.model, v.b.model} <= wanted]


def take_back(id: int) -> None:
    """Remove a vote. Removing one that is gone changes nothing."""
    with session() as opened:
        opened.execute(delete(StoredVote).where(StoredVote.id == id))


def ratings(*, voter: str | None = "user") -> list[Rating]:
    """The models by votes, the strongest first; None counts every voter's."""
    games = [(v.a.model, v.b.model, _POINTS[v.winner]) for v in votes(voter=voter)]
    return bradley_terry(games) if games else []


def next_pair(models: Sequence[str], *, seed: int | None = None) -> tuple[str, str]:
    """Two models in random order, of those pairs that met least. Raises BenchError."""
    names = list(dict.fromkeys(models))
    if len(names) < 2:
        raise BenchError("An arena needs two models. Choose another one beside it.")
    met = [frozenset((v.a.model, v.b.model)) for v in votes(voter="user", models=names)]
    chance = Random(seed)  # noqa: S311 (which model stands left is no secret worth more)
    pairs = list(combinations(names, 2))
    fewest = min(met.count(frozenset(pair)) for pair in pairs)
    pair = list(chance.choice([p for p in pairs if met.count(frozenset(p)) == fewest]))
    chance.shuffle(pair)
    return pair[0], pair[1]


def preferences(path: Path, *, voter: str | None = "user") -> int:
    """Write the votes that prefer one answer as JSON lines: prompt, chosen, rejected and models.

    Returns how many. An existing file is replaced only when the new one is whole.
    """
    lines = []
    for one in reversed(votes(voter=voter)):
        if one.winner in {"a", "b"}:
            chosen, rejected = (one.a, one.b) if one.winner == "a" else (one.b, one.a)
            facts = {
                "prompt": one.question, "chosen": chosen.answer, "rejected": rejected.answer,
                "chosen_model": chosen.model, "rejected_model": rejected.model,
                "voter": one.voter, "at": one.at.isoformat(),
            }  # fmt: skip
            lines.append(json.dumps(facts, ensure_ascii=False))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    part.replace(path)
    return len(lines)


def _vote(row: StoredVote) -> Vote:
    return Vote(
        row.id, row.at, row.voter, row.question,
        Side(row.model_a, row.answer_a, row.digest_a),
        Side(row.model_b, row.answer_b, row.digest_b),
        row.winner, row.more,  # type: ignore[arg-type]
    )  # fmt: skip
