"""A score follows from results that were measured alike, or there is none."""

from __future__ import annotations

import itertools

import pytest
from choice_cards import card, score
from hypothesis import given
from hypothesis import strategies as st

from workbench.cards import shipped
from workbench.catalogue import Standings, performance_score


def place(*cards: object, of: int = 0, **more: object) -> float | None:
    found = Standings(cards).score(cards[of], **more)  # type: ignore[arg-type]
    return found.value if found else None


def test_a_card_without_results_has_no_score() -> None:
    alone = card("a:8b")
    assert performance_score(alone) is None
    assert place(alone, card("b:8b", score("MMLU", 80))) is None


def test_a_result_that_nobody_else_has_cannot_be_ranked() -> None:
    assert place(card("a:8b", score("MMLU", 99))) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (score("MMLU", 50, "5-shot"), score("MMLU", 90, "0-shot")),
        (score("MMLU", 50), score("MMLU-Pro", 90)),
        (score("MMLU", 50), score("MMLU", 90, own=True)),
        (score("HumanEval", 50, "EvalPlus, base model"), score("HumanEval", 90, "EvalPlus")),
        (score("GPQA", 50, "chat_template=True"), score("GPQA", 90, "chat_template=False")),
    ],
)
def test_other_metrics_and_settings_are_other_rankings(one: object, other: object) -> None:
    cards = card("a:8b", one), card("b:8b", other), card("c:8b", one)  # type: ignore[arg-type]
    found = Standings(cards).score(cards[0])
    assert found
    assert [(entry.rank, entry.of) for entry in found.results] == [(1, 2)]


def test_a_publisher_who_tells_no_setting_compares_with_itself_only() -> None:
    bare = score("MMLU", 60, "self-reported by publisher")
    cards = card("a:8b", bare), card("b:8b", bare, publisher="another")
    assert place(*cards) is None
    assert place(cards[0], card("b:8b", bare)) is not None


def test_the_precision_of_the_weights_and_who_ran_evalplus_do_not_matter() -> None:
    cards = (
        card("a:8b", score("HumanEval", 70, "EvalPlus protocol, instruct model")),
        card("b:8b", score("HumanEval", 60, "EvalPlus leaderboard, pass@1 greedy")),
    )
    found = Standings(cards).score(cards[0])
    assert found
    assert found.results[0].of == 2
    cards = (
        card("a:8b", score("GPQA", 30, "lm-eval, chat_template=True, bfloat16")),
        card("b:8b", score("GPQA", 31, "lm-eval, chat_template=True, float16")),
    )
    found = Standings(cards).score(cards[0])
    assert found
    assert found.results[0].of == 2


def test_own_results_count_before_published_ones() -> None:
    published = (score("MMLU", 90), score("MMLU", 20))
    cards = (
        card("a:8b", published[0]),
        card("b:8b", published[1]),
    )
    own = {"a:8b": [score("tasks", 10, own=True)], "b:8b": [score("tasks", 80, own=True)]}
    standings = Standings(cards, own)
    a, b = standings.score(cards[0]), standings.score(cards[1])
    assert a
    assert b
    assert a.own
    assert b.own
    assert b.value > a.value
    assert "own result" in b.basis
    given_here = Standings(cards).score(cards[0], own=own["a:8b"])
    assert given_here
    assert given_here.own


def test_a_score_says_what_it_was_derived_from() -> None:
    cards = [card(f"{name}:8b", score("MMLU", value, source="page 4")) for name, value in
             (("a", 50), ("b", 60), ("c", 70))]  # fmt: skip
    found = Standings(cards).score(cards[1])
    assert found
    assert (found.metric, found.setting, found.source) == ("MMLU", "5-shot, harness", "page 4")
    assert "rank 2 of 3" in found.basis


def test_results_of_a_relative_count_less() -> None:
    own = card("a:8b", score("MMLU", 50))
    lent = card("b:8b", score("MMLU", 60, measured_on="b-base"))
    standings = Standings([own, lent, card("c:8b", score("MMLU", 70))])
    mine, theirs = standings.score(own), standings.score(lent)
    assert mine
    assert theirs
    assert theirs.confidence < mine.confidence
    assert theirs.measured_on == "b-base"
    assert "b-base" in theirs.basis


def test_more_cards_in_the_ranking_make_it_surer() -> None:
    few = [card(f"m{n}:8b", score("MMLU", n)) for n in range(3)]
    many = [card(f"m{n}:8b", score("MMLU", n)) for n in range(30)]
    one, other = Standings(few).score(few[0]), Standings(many).score(many[0])
    assert one
    assert other
    assert one.confidence < other.confidence


def test_the_last_of_strong_models_is_not_taken_for_the_weakest_there_is() -> None:
    strong = [card(f"s{n}:70b", score("AIME", 60 + n, "harness"), layers=300, released="2026-04")
              for n in range(4)]  # fmt: skip
    weak = [card(f"w{n}:1b", score("MMLU", 20 + n, "harness"), layers=4, released="2023-06")
            for n in range(4)]  # fmt: skip
    standings = Standings([*strong, *weak])
    last, first = standings.score(strong[0]), standings.score(weak[3])
    assert last
    assert first
    assert last.value > first.value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 100.5, 1e308])
def test_impossible_results_are_not_results(value: float) -> None:
    cards = card("a:8b", score("MMLU", value)), card("b:8b", score("MMLU", 50))
    assert place(*cards) is None
    assert place(*cards, of=1) is None


def test_metrics_that_say_nothing_about_the_question_do_not_count() -> None:
    cards = [card(f"{n}:8b", score("MMLU", n), score("LiveCodeBench v6", 90 - n)) for n in (1, 2)]
    assert place(*cards, weights={"GSM8K": 1.0}) is None
    code = [Standings(cards).score(one, {"LiveCodeBench": 1.0}) for one in cards]
    assert code[0]
    assert code[1]
    assert code[0].metric == "LiveCodeBench v6"
    assert code[0].value > code[1].value


@given(
    st.lists(st.floats(0, 100), min_size=2, max_size=30),
    st.lists(st.integers(1, 400), min_size=30, max_size=30),
)
def test_a_better_result_never_gets_a_lower_place(values: list[float], layers: list[int]) -> None:
    cards = [
        card(f"m{n}:x", score("MMLU", value), layers=layers[n]) for n, value in enumerate(values)
    ]
    standings = Standings(cards)
    scores = [standings.score(one) for one in cards]
    ranked = sorted(zip(values, scores, strict=True), key=lambda pair: pair[0])
    for (low, worse), (high, better) in itertools.pairwise(ranked):
        assert worse
        assert better
        assert 0 <= worse.value <= better.value <= 1 or low == high
        assert low != high or worse.value == better.value


def test_the_shipped_cards_are_ordered_as_everybody_knows() -> None:
    cards = {one.name: one for one in shipped()}
    value = {}
    for name, one in cards.items():
        found = performance_score(one)
        assert (found is None) or (0 <= found.value <= 1 and 0 < found.confidence < 1)
        value[name] = found.value if found else None
    assert None in value.values()
    for better, worse in (
        ("qwen2.5:72b", "qwen2.5:7b"),
        ("qwen2.5:7b", "qwen2.5:0.5b"),
        ("llama3.1:8b", "llama2:7b"),
        ("qwen2.5-coder:7b", "codellama:7b"),
        ("gemma3:27b", "gemma:7b"),
        ("snowflake-arctic-embed:335m", "all-minilm:22m"),
    ):
        assert value[better] > value[worse], (better, worse)  # type: ignore[operator]
