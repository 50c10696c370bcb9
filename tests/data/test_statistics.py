"""Numbers of datasets, against sums that are made by hand."""

from __future__ import annotations

import json
import random
from itertools import pairwise

import pytest
from data.kept_datasets import asked, kept, text

from workbench.data import statistics
from workbench.examples import Example, Template, Tokens


def counted(per: int = 1) -> Tokens:
    """A counter with a token for each `per` characters, as if a model's."""
    return Tokens("ours", True, "Ours.", lambda texts: [len(t) // per for t in texts])


def test_all_is_counted_in_small_ones() -> None:
    found = {
        "train": [
            text("a" * n, language="en", kind="page", licence="MIT", address="https://x.org/a")
            for n in range(1, 101)
        ],
        "test": [text("b" * 1000, language="de", address="/home/x")],
    }
    numbers = statistics(kept(found), counted())
    assert (numbers.examples, numbers.characters, numbers.sampled) == (101, 6050, 101)
    assert (numbers.tokens, numbers.error, numbers.exact) == (6050, 0, True)
    assert numbers.mean == pytest.approx(6050 / 101)
    assert numbers.quantiles["0"] == 1 and numbers.quantiles["50"] == 51
    assert numbers.quantiles["100"] == 1000
    assert numbers.by["split"]["test"] == {"examples": 1, "characters": 1000}
    assert numbers.by["language"]["en"] == {"examples": 100, "characters": 5050}
    assert list(numbers.by["host"]) == ["x.org", "(files)"]
    assert numbers.by["licence"]["(unknown)"]["examples"] == 1
    bars = numbers.histogram
    assert sum(bars["counts"]) == 101 and len(bars["edges"]) == len(bars["counts"]) + 1
    assert bars["edges"][:5] == [0, 1, 2, 4, 8] and bars["edges"][-1] > 1000
    assert json.loads(json.dumps(numbers.to_json()))["tokens"] == 6050


def test_even_bars_where_lengths_are_alike() -> None:
    numbers = statistics(kept([text("a" * (100 + n)) for n in range(60)]), counted())
    edges, counts = numbers.histogram["edges"], numbers.histogram["counts"]
    steps = {b - a for a, b in pairwise(edges)}
    assert len(steps) == 1 and sum(counts) == 60 and len(counts) <= 21


def test_an_estimate_is_called_one() -> None:
    numbers = statistics(kept([text("a" * 400)]))
    assert numbers.tokens == 100 and not numbers.exact
    assert any("estimate" in note for note in numbers.notes)


def test_the_share_that_is_learnt() -> None:
    template = Template("x", end="")
    half = statistics(kept([asked("abcd", "efgh"), asked("ab", "cd")]), counted(), template)
    assert half.learnt == 0.5
    turns = [{"role": "user", "content": "Q" * 50}, {"role": "assistant", "content": "A" * 50}]
    talk = statistics(kept([Example("conversation", {"messages": turns})]), counted())
    assert talk.learnt is not None and 0.3 < talk.learnt < 0.5
    assert talk.tokens == 101, "the names of roles are no text"


def test_a_template_that_cannot_is_told() -> None:
    turns = [{"role": "user", "content": "Q"}]
    refusing = Template("strict", "{{ raise_exception('no') }}")
    found = statistics(kept([Example("conversation", {"messages": turns})]), counted(), refusing)
    assert found.learnt is None
    assert any("cannot write" in note and "(1 of 1 examples)" in note for note in found.notes)


def test_a_sample_tells_its_error() -> None:
    draw = random.Random(7)
    lengths = [draw.randint(1, 60) for _ in range(25_000)]
    texts = [text("ab"[draw.random() < 0.3] * n) for n in lengths]
    truth = sum(
        n if t.fields["text"][0] == "a" else 2 * n for n, t in zip(lengths, texts, strict=True)
    )

    def cost(words: list[str]) -> list[int]:
        return [len(each) * (1 if each[0] == "a" else 2) for each in words]

    numbers = statistics(kept(texts), Tokens("ours", True, "Ours.", cost))
    assert numbers.sampled == 20_000 and numbers.examples == 25_000
    assert 0 < numbers.error < 0.01 * truth
    assert abs(numbers.tokens - truth) < 2 * numbers.error
    assert any("20000 examples" in note for note in numbers.notes)


def test_tables_have_an_end() -> None:
    texts = [text(f"{n}", address=f"https://host{n}.org/") for n in range(500)]
    hosts = statistics(kept(texts), counted()).by["host"]
    assert len(hosts) <= 201
    assert sum(row["examples"] for row in hosts.values()) == 500
    odd = statistics(kept([text("x", address="http://[bad", licence=["a"])]), counted())
    assert odd.by["host"]["(files)"]["examples"] == 1
