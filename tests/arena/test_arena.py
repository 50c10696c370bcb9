"""Votes: kept with both answers, blind, taken back, rated, written as preferences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench import arena
from workbench.arena import Side
from workbench.errors import BenchError


def cast(winner: str, a: str = "x", b: str = "y", question: str = "Why?", **more: object) -> int:
    sides = Side(a, f"{a} says"), Side(b, f"{b} says")
    return arena.vote(question, *sides, winner, **more).id  # type: ignore[arg-type]


def test_votes_make_ratings() -> None:
    for winner in "aaaaabaaat":
        cast("tie" if winner == "t" else winner)
    best, worst = arena.ratings()
    assert (best.name, worst.name) == ("x", "y")
    assert best.low < best.rating < best.high and best.rating > 1000 > worst.rating
    assert best.games == 10 and best.wins == 8 and best.ties == 1


def test_no_votes_no_ratings() -> None:
    assert arena.ratings() == [] and arena.votes() == []


def test_a_vote_is_taken_back() -> None:
    kept, gone = cast("a"), cast("b")
    arena.take_back(gone)
    arena.take_back(gone)
    assert [vote.id for vote in arena.votes()] == [kept]


def test_votes_that_cannot_be() -> None:
    with pytest.raises(BenchError, match="a, b, tie or neither"):
        cast("c")
    with pytest.raises(BenchError, match="one model"):
        cast("a", "x", "x")


def test_pairs_that_met_least_come_first() -> None:
    for _ in range(3):
        cast("a", "x", "y")
    for seed in range(20):
        assert set(arena.next_pair(["x", "y", "z"], seed=seed)) != {"x", "y"}
    orders = {arena.next_pair(["x", "z"], seed=seed) for seed in range(20)}
    assert orders == {("x", "z"), ("z", "x")}  # who stands left says nothing
    with pytest.raises(BenchError, match="two models"):
        arena.next_pair(["x", "x"])


def test_preferences_are_training_data(tmp_path: Path) -> None:
    cast("a", question="One?")
    cast("b", question="Two?\x00")
    cast("tie")
    cast("neither")
    cast("a", voter="judge")
    path = tmp_path / "deep" / "preferences.jsonl"
    assert arena.preferences(path) == 2
    first, second = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    assert (first["prompt"], first["chosen"], first["rejected"]) == ("One?", "x says", "y says")
    assert (second["chosen_model"], second["prompt"]) == ("y", "Two?␀")
    assert arena.preferences(path, voter=None) == 3


def test_a_judge_is_held_against_the_user() -> None:
    for number, (mine, judged) in enumerate([("a", "a"), ("b", "b"), ("a", "b"), ("tie", "tie")]):
        cast(mine, question=f"q{number}")
        sides = Side("y", "y says"), Side("x", "x says")  # the judge saw them turned
        turned = {"a": "b", "b": "a"}.get(judged, judged)
        arena.vote(f"q{number}", *sides, turned, voter="judge")  # type: ignore[arg-type]
    found = arena.judge_agreement("judge")
    assert (found.n, found.same) == (4, 3) and found.share == 0.75
