"""Votes, and records of accepted and rejected answers, as datasets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench import data
from workbench.arena import Side, vote
from workbench.errors import DataError, TrainingError
from workbench.recipes import feedback, make_feedback


def turn(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def choose(question: str, good: str, bad: str, **given: Any) -> None:
    vote(question, Side("one", bad), Side("two", good), "b", **given)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_without_feedback_it_says_so() -> None:
    assert feedback().sentence.startswith("There is no feedback yet. Ask two models")
    with pytest.raises(TrainingError, match="There is no feedback yet"):
        make_feedback("mine")
    assert data.datasets() == []


def test_votes_that_prefer_nothing_are_no_feedback() -> None:
    for winner in ("tie", "neither"):
        vote("Why?", Side("one", "A"), Side("two", "B"), winner)
    vote("Same?", Side("one", "A"), Side("two", "A"), "a")
    vote("Empty?", Side("one", " "), Side("two", "A"), "a")
    assert (feedback().votes, feedback().undecided, feedback().pairs) == (4, 2, 0)
    with pytest.raises(TrainingError, match="4 votes, 2 of them for one answer: 0 pairs"):
        make_feedback("mine")


def test_votes_become_pairs_or_good_answers() -> None:
    choose("Why?", "Because.", "So what.")
    choose("Why?", "Because.", "So what.")
    choose("How?", "Thus.", "No idea.")
    choose("How?", "Thus.", "Go away.")
    choose("Who?", "A judge.", "Nobody.", voter="judge")
    pairs = make_feedback("pairs")
    assert pairs.form == "preference"
    assert pairs.examples == 3
    first = next(data.examples(pairs))
    assert first.fields == {
        "prompt": turn("user", "Why?"),
        "chosen": turn("assistant", "Because."),
        "rejected": turn("assistant", "So what."),
    }
    assert first.about["chosen_model"] == "two"
    assert pairs.report["votes"] == 4
    answers = make_feedback("answers", "conversation", voter=None)
    found = [one.fields["messages"] for one in data.examples(answers)]
    assert found[0] == turn("user", "Why?") + turn("assistant", "Because.")
    assert len(found) == 3


def test_what_was_said_both_ways_is_counted_and_left() -> None:
    choose("Why?", "A", "B")
    choose("Why?", "B", "A")
    choose("How?", "A", "B")
    found = feedback()
    assert (found.pairs, found.contradictory) == (1, 1)
    assert "1 contradict" in found.sentence


def test_records_of_reviews_make_pairs(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"prompt": "Fix f", "answer": "good f", "accepted": True},
        {"prompt": "Fix f", "answer": "bad f", "accepted": False},
        {"question": "Fix g", "completion": "good g", "label": 1},
        {"instruction": "Fix h", "response": "bad h", "decision": "Rejected"},
        {"prompt": "Torn", "answer": "x", "accepted": True},
        {"prompt": "Torn", "answer": "x", "accepted": False},
        {"prompt": "Fix i", "answer": "i", "accepted": "perhaps"},
        {"prompt": ["Fix"], "answer": "i", "accepted": True},
        {"prompt": "", "answer": "i", "accepted": True},
        {"other": 1},
    ]
    file = write(tmp_path / "reviews.jsonl", rows)
    found = feedback(records=file)
    assert (found.accepted, found.rejected, found.unreadable) == (3, 3, 4)
    assert (found.pairs, found.answers, found.contradictory) == (1, 2, 1)
    made = make_feedback("pairs", records=file)
    assert next(data.examples(made)).fields["rejected"] == turn("assistant", "bad f")
    assert made.recipe["file"] == "reviews.jsonl"
    good = make_feedback("good", "conversation", records=str(file))
    assert good.examples == 2


def test_one_question_does_not_become_all_of_the_data(tmp_path: Path) -> None:
    rows = [{"prompt": "q", "answer": f"{n}", "accepted": n % 2 == 0} for n in range(40)]
    found = feedback(records=write(tmp_path / "r.jsonl", rows))
    assert (found.pairs, found.answers) == (8, 20)


def test_a_file_without_records_says_so(tmp_path: Path) -> None:
    file = write(tmp_path / "other.jsonl", [{"text": "a"}, {"text": "b"}])
    with pytest.raises(TrainingError, match="2 rows are no records"):
        make_feedback("mine", records=file)
    with pytest.raises(DataError, match="no such file"):
        feedback(records=tmp_path / "missing.jsonl")
    with pytest.raises(TrainingError, match="Did you mean preference"):
        make_feedback("mine", "preferenc")  # type: ignore[arg-type]
