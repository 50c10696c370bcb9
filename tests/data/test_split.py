"""Splits: exact, repeatable, and nothing of one side known on the other."""

from __future__ import annotations

from collections import Counter

import pytest
from data.kept_datasets import asked, kept, text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.data import Dataset, diff, examples, split
from workbench.errors import DataError


def sides(dataset: Dataset) -> dict[str, list[str]]:
    return {
        name: [one.fields["text"] for one in examples(dataset, name)] for name in dataset.splits
    }


@pytest.mark.parametrize(
    ("many", "validation", "test", "sizes"),
    [
        (100, 0.1, 0.0, {"train": 90, "validation": 10}),
        (100, 0.25, 0.1, {"train": 65, "validation": 25, "test": 10}),
        (1003, 0.1, 0.2, {"train": 702, "validation": 100, "test": 201}),
        (7, 0.01, 0.0, {"train": 6, "validation": 1}),
        (2, 0.5, 0.0, {"train": 1, "validation": 1}),
    ],
)
def test_sizes_are_exact(many: int, validation: float, test: float, sizes: dict[str, int]) -> None:
    whole = kept([text(f"word {i}") for i in range(many)])
    made = split(whole, validation=validation, test=test)
    assert made.splits == sizes == made.report["splits"]
    assert made.parent == whole.digest and made.name == whole.name
    assert sorted(word for words in sides(made).values() for word in words) == sorted(
        sides(whole)["train"]
    )


def test_the_same_again_whatever_the_order() -> None:
    texts = [text(f"word {i}") for i in range(200)]
    first, second = kept(texts), kept(texts[::-1], "turned")
    one, again, turned = split(first), split(first), split(second)
    assert one.digest == again.digest and one.label == again.label
    assert set(sides(one)["validation"]) == set(sides(turned)["validation"])
    other = split(first, seed=1)
    assert set(sides(other)["validation"]) != set(sides(one)["validation"])
    assert split(one).digest == one.digest, "a split dataset is divided anew"


def test_a_recipe_that_makes_it_again() -> None:
    whole = kept([text(f"word {i}", label="ab"[i % 2]) for i in range(50)])
    made = split(whole, validation=0.2, stratify="label", name="other")
    arguments = dict(made.recipe)
    assert arguments.pop("kind") == "split" and arguments.pop("dataset") == whole.digest
    assert split(whole, **arguments).digest == made.digest and made.name == "other"


def test_equal_questions_stay_together() -> None:
    spelled = [f"question {i // 4}" for i in range(200)]
    shown = ["{}", "  {}?", "{}", "{}\n"]
    found = [
        asked(shown[i % 4].format(word.upper() if i % 3 else word), f"answer {i}")
        for i, word in enumerate(spelled)
    ]
    made = split(kept(found), validation=0.2, test=0.2)
    assert made.splits == {"train": 120, "validation": 40, "test": 40}
    where = Counter(
        (one.fields["prompt"].strip(" ?\n").lower(), name)
        for name in made.splits
        for one in examples(made, name)
    )
    assert len({word for word, _ in where}) == len(where) == 50 == made.report["groups"]


def test_documents_stay_whole_and_share_no_text() -> None:
    found = [text(f"{i} of a page", address=f"page{i // 10}") for i in range(300)]
    found += [text("5 of a page", address="copy"), text("more of the copy", address="copy")]
    made = split(kept(found), validation=0.3, by="address")
    places: dict[str, set[str]] = {}
    for name in made.splits:
        for one in examples(made, name):
            places.setdefault(one.about["address"], set()).add(name)
    assert all(len(names) == 1 for names in places.values())
    assert places["copy"] == places["page0"], "they share a text"
    assert 80 <= made.splits["validation"] <= round(0.3 * 302)


def test_labels_have_the_same_shares_everywhere() -> None:
    labels = ["rare"] * 20 + ["common"] * 160 + [None] * 20
    found = [text(f"t{i}", **({"label": x} if x else {})) for i, x in enumerate(labels)]
    made = split(kept(found), validation=0.1, test=0.05, stratify="label")
    assert made.report["labels"]["validation"] == {"rare": 2, "common": 16, "": 2}
    assert made.report["labels"]["test"] == {"rare": 1, "common": 8, "": 1}


def test_one_group_too_large_for_its_share() -> None:
    found = [text(f"{i}", address=f"page{i // 50}") for i in range(150)]
    made = split(kept(found), validation=0.1, by="address")
    assert made.splits == {"train": 100, "validation": 50}, "the smallest group is taken whole"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"validation": 0.0}, "leave something"),
        ({"validation": 0.5, "test": 0.5}, "leave something"),
        ({"validation": -0.1}, "leave something"),
        ({"validation": float("nan")}, "leave something"),
        ({"by": "adress"}, "Did you mean address"),
        ({"stratify": "label"}, "No example says 'label'"),
        ({"by": "site"}, "All examples belong together"),
    ],
)
def test_what_cannot_be_done(more: dict[str, object], words: str) -> None:
    found = kept([text(f"word {i}", address=str(i), site="one") for i in range(10)])
    with pytest.raises(DataError, match=words):
        split(found, **more)  # type: ignore[arg-type]


def test_a_single_example_and_too_many_labels() -> None:
    with pytest.raises(DataError, match="nothing to divide"):
        split(kept([text("alone")]))
    with pytest.raises(DataError, match="is no label"):
        split(kept([text(f"{i}", label=i) for i in range(1001)]), stratify="label")


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), min_size=2, max_size=40),
    st.sampled_from([0.1, 0.3, 0.5]),
    st.integers(0, 3),
)
def test_no_group_is_on_two_sides(pairs: list[tuple[int, int]], share: float, seed: int) -> None:
    whole = kept([text(f"word {w}", address=f"a{a}") for w, a in pairs])
    try:
        made = split(whole, validation=share, seed=seed, by="address")
    except DataError as error:
        assert "belong together" in str(error)
        return
    one, other = (
        {key for e in examples(made, name) for key in (e.fields["text"], e.about["address"])}
        for name in ("train", "validation")
    )
    assert not one & other
    change = diff(whole, made)
    assert not change.added and not change.removed
