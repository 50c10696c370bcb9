"""What differs between versions of a dataset."""

from __future__ import annotations

import json
from collections import Counter

from data.kept_datasets import asked, kept, text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.data import diff, split


def test_what_was_added_and_removed() -> None:
    old = kept([text(f"t{n}") for n in range(10)])
    new = kept([text(f"t{n}") for n in range(3, 20)])
    change = diff(old, new)
    assert (change.common, change.added, change.removed) == (7, 10, 3)
    assert [row["text"] for row in change.first_removed] == ["t0", "t1", "t2"]
    assert [row["text"] for row in change.first_added] == [f"t{n}" for n in range(10, 15)]
    assert not change.same and change.sizes == (10, 17)
    assert "10 → 17 examples: 7 in both, 10 added, 3 removed" in change.text()
    assert json.loads(json.dumps(change.to_json()))["added"] == 10


def test_nothing_changed() -> None:
    old = kept([text("a"), text("b")])
    change = diff(old, kept([text("b"), text("a")]))
    assert change.same and not change.recipe and not change.first_added
    assert "made in the same way" in change.text()


def test_what_went_to_another_split() -> None:
    whole = kept([text(f"t{n}") for n in range(50)])
    made = split(whole, validation=0.2)
    change = diff(whole, made)
    assert change.moved == {"train → validation": 10} and change.common == 50
    assert not change.same
    assert "was made from" in change.recipe[0] and '"validation": 0.2' in change.recipe[0]
    back = diff(made, whole)
    assert back.moved == {"validation → train": 10}


def test_steps_in_words() -> None:
    rules = {"kind": "clean", "rules": {"near": 0.8, "language": "en"}, "collections": ["a"]}
    old = kept([text("a")], recipe=rules)
    changed = {"kind": "clean", "rules": {"near": 0.9}, "collections": ["a", "b"]}
    told = diff(old, kept([text("b")], recipe=changed)).recipe
    assert told == (
        "collections.2: nothing → b.",
        "rules.language: en → nothing.",
        "rules.near: 0.8 → 0.9.",
    )


def test_another_form_and_long_texts() -> None:
    old, new = kept([text("x" * 2000)]), kept([asked("q", "y" * 2000)], "other")
    change = diff(old, new)
    assert change.forms == ("text", "completion") and change.common == 0
    assert "The form changed from text to completion." in change.text()
    assert len(change.first_removed[0]["text"]) == 500
    assert change.first_added[0]["completion"].endswith("…")


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(*[st.lists(st.integers(0, 6), min_size=1, max_size=12)] * 2)
def test_copies_are_counted(one: list[int], other: list[int]) -> None:
    old, new = (kept([text(f"t{n}") for n in numbers]) for numbers in (one, other))
    change = diff(old, new)
    assert change.common == sum((Counter(one) & Counter(other)).values())
    assert change.added == sum((Counter(other) - Counter(one)).values())
    assert change.removed == sum((Counter(one) - Counter(other)).values())
