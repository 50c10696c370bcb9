"""What is said of two models' losses: by words that follow the numbers."""

from __future__ import annotations

import json

from workbench.train._card import Card, Compared, Found, compared, words_of

UNIT = "nats per token"


def found(losses: list[float], rights: list[bool] | None = None) -> list[Found]:
    """Examples of forty tokens with these losses, and little noise between tokens."""
    told = rights or [None] * len(losses)
    return [
        Found(loss, right, (7,) * 40, tuple(-loss + step for step in (-0.02, 0.01, 0.0, 0.01)) * 10)
        for loss, right in zip(losses, told, strict=True)
    ]


def both(name: str, tuned: list[float], base: list[float], **more: list[bool]) -> Compared:
    texts = [f"example {number}" for number in range(len(tuned))]
    return compared(name, UNIT, found(tuned, more.get("after")), found(base, more.get("before")),
                    texts)  # fmt: skip


def test_a_gain_is_told_with_its_interval() -> None:
    base = [3.0 + n / 50 for n in range(30)]
    one = both("validation", [loss - 1 - n / 100 for n, loss in enumerate(base)], base)
    assert one.difference is not None and one.difference.verdict == "better"
    assert (one.better, one.worse, one.same) == (30, 0, 0)
    assert one.difference.low < one.difference.value < one.difference.high  # type: ignore[operator]
    first, second = words_of(one, None)
    assert "30 held-out examples (validation)" in first and "lower" in first
    assert second.startswith("30 of them got better, 0 got worse")


def test_no_difference_is_called_none() -> None:
    base = [3.0 + n / 50 for n in range(30)]
    one = both("validation", [loss + (-1) ** n * 0.2 for n, loss in enumerate(base)], base)
    assert one.difference is not None and one.difference.verdict == "undecided"
    assert "cannot be told apart" in words_of(one, None)[0]
    assert one.better == one.worse == 15
    assert [flip.verdict for flip in one.flips] == ["worse"] * 5 + ["better"] * 5
    same = both("control", base, base)
    assert (same.same, same.better) == (30, 0)
    assert "no forgetting can be told" in words_of(None, same)[0]


def test_forgetting_is_told() -> None:
    base = [3.0 + n / 50 for n in range(30)]
    words = words_of(None, both("control", [loss + 0.5 + loss / 50 for loss in base], base))
    assert "higher" in words[0] and "something was forgotten" in words[0]


def test_what_turned_right_and_wrong() -> None:
    losses = [1.0 + n / 10 for n in range(20)]
    before = [n < 2 for n in range(20)]
    after = [n != 0 for n in range(20)]
    one = both("test", losses, losses, before=before, after=after)
    assert one.right_difference is not None
    assert (one.right_difference.wins, one.right_difference.losses) == (18, 1)
    assert "18 turned right, 1 turned wrong." in words_of(one, None)[-1]
    silent = both("test", losses, losses, before=[False] * 20, after=[False] * 20)
    assert not any("right" in words for words in words_of(silent, None)[2:])


def test_a_model_from_nothing_has_a_loss_and_a_perplexity() -> None:
    one = compared("validation", UNIT, found([2.0, 2.2, 2.4]), None, ["a", "b", "c"])
    assert one.difference is None and one.base is None
    assert "perplexity of 9.0" in words_of(one, None)[0]
    card = Card("m", "", "d@1", one, None)
    assert json.loads(json.dumps(card.to_json()))["target"]["tuned"]["n"] == 3


def test_a_short_answer_tells_by_its_odds() -> None:
    def answer(*logprobs: float) -> list[Found]:
        return [Found(-sum(logprobs) / len(logprobs), None, (1, 2), logprobs)]

    base = answer(-4.0, -0.1)
    assert compared("test", UNIT, answer(-0.9, -0.1), base, ["a"]).better == 1
    assert compared("test", UNIT, answer(-3.0, -0.1), base, ["a"]).same == 1
    assert compared("test", UNIT, answer(-9.0, -0.1), base, ["a"]).worse == 1


def test_other_tokens_are_compared_by_size() -> None:
    new, old = Found(1.0, None, (1,), (-1.0,)), Found(1.5, None, (1, 2), (-1.0, -2.0))
    assert compared("test", "bits per byte", [new], [old], ["a"]).better == 1
