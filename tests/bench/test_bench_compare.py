"""What is said of runs: differences, verdicts, flips, ranks, and what is left out."""

from __future__ import annotations

import random

import pytest
from kept_runs import kept_run

from workbench import bench
from workbench.errors import BenchError


def ones(share: float, count: int = 100, seed: int = 0) -> list[float | None]:
    """`count` scores of which this share is 1, in random order."""
    values: list[float | None] = [float(n < share * count) for n in range(count)]
    random.Random(seed).shuffle(values)
    return values


def test_a_real_difference_is_told() -> None:
    good, bad = kept_run("good", {"code": ones(0.9)}), kept_run("bad", {"code": ones(0.5)})
    found = bench.compare([good.id, bad.id])
    (pair,) = found.pairs
    assert pair.overall is not None and pair.overall.verdict == "better"
    assert pair.overall.value == pytest.approx(0.4)
    assert pair.words.startswith("good is better than bad by 40.0 points")
    assert found.left_out == ()
    turned = bench.compare([bad.id, good.id]).pairs[0]
    assert turned.overall is not None and turned.overall.verdict == "worse"
    assert turned.words == pair.words
    assert bench.swapped(turned.overall).value == pytest.approx(pair.overall.value)


def test_a_small_certain_difference_keeps_its_digits() -> None:
    values = [0.5 + n / 1000 for n in range(60)]
    a = kept_run("a", {"t": [v + 0.0001 * (1 + n % 3) for n, v in enumerate(values)]})
    b = kept_run("b", {"t": values})
    words = bench.compare([a.id, b.id]).pairs[0].words
    assert words.startswith("a is better than b by 0.020 points (95 %: +0.0")


def test_noise_is_called_noise() -> None:
    first = kept_run("first", {"code": ones(0.70, 40, 1)})
    second = kept_run("second", {"code": ones(0.75, 40, 2)})
    (pair,) = bench.compare([first.id, second.id]).pairs
    assert pair.overall is not None and pair.overall.verdict == "undecided"
    assert "cannot be told apart" in pair.words
    assert pair.overall.samples_needed is not None and pair.overall.samples_needed > 40
    assert "samples would tell" in pair.words


def test_many_looks_are_corrected() -> None:
    """Ten runs of one skill against one that is slightly better: p must rise with the looks."""
    values = ones(0.6, 60, 1)
    better = [1.0 if n < 7 else value for n, value in enumerate(sorted(values, key=bool))]
    base = sorted(values, key=bool)
    alone = [kept_run("a", {"t": better}), kept_run("b", {"t": base})]
    p_alone = bench.compare([run.id for run in alone]).pairs[0].overall
    others = [kept_run(f"m{n}", {"t": ones(0.6, 60, n)}) for n in range(6)]
    crowd = bench.compare([run.id for run in (*alone, *others)])
    p_crowd = crowd.pairs[0].overall
    assert p_alone is not None and p_crowd is not None
    assert p_crowd.p == pytest.approx(p_alone.p)
    assert p_alone.p_adjusted < 0.05 < p_crowd.p_adjusted


def test_tasks_that_differ_are_named() -> None:
    """One task tells them apart though the whole does not, and the words say which."""
    same, other = ones(0.5, 60, 1), ones(0.5, 60, 2)
    scores = {"text": [0.5 + n % 7 / 100 for n in range(60)], "code": same}
    lower = {"text": [0.4 + n % 7 / 100 for n in range(60)], "code": other}
    a, b = kept_run("a", scores), kept_run("b", lower)
    (pair,) = bench.compare([a.id, b.id]).pairs
    assert pair.tasks["text"].verdict == "better" and pair.tasks["code"].verdict == "undecided"
    assert pair.words.endswith("a is better at Text (10.0 points).")


def test_weights_count() -> None:
    scores = {"light": ones(1.0, 20), "heavy": ones(0.0, 20)}
    run = kept_run("m", scores, weights={"light": 1.0, "heavy": 3.0})
    score = bench.result(run).score
    assert score is not None and score.value == pytest.approx(0.25)


def test_what_cannot_be_compared_is_left_out_and_said() -> None:
    a = kept_run("a", {"code": ones(0.5), "talk": ones(0.5)})
    b = kept_run("b", {"code": ones(0.5, 50), "talk": [None, *ones(0.5)[1:]]})
    found = bench.compare([a.id, b.id])
    text = " ".join(found.left_out)
    assert "Code (a and b): its questions differ" in text
    assert "Talk: 1 samples that a or b has no score of" in text
    (pair,) = found.pairs
    assert set(pair.tasks) == {"talk"}
    assert pair.overall is not None and pair.overall.n == 99


def test_answers_got_in_different_ways_are_not_compared() -> None:
    a = kept_run("a", {"code": ones(0.5)})
    b = kept_run("b", {"code": ones(0.5)}, more={"how": "generative"})
    found = bench.compare([a.id, b.id])
    assert found.pairs[0].overall is None
    assert "two ways" in found.left_out[0]
    assert "share no question" in found.pairs[0].words


def test_flips() -> None:
    a = kept_run("a", {"code": [1.0, 0.0, 1.0, 0.5]})
    b = kept_run("b", {"code": [1.0, 1.0, 0.0, 0.4]})
    found = bench.flips(a.id, b.id)
    assert [(f.sample, round(f.gain, 3)) for f in found] == [
        ("s0001", -1.0), ("s0002", 1.0), ("s0003", 0.1)
    ]  # fmt: skip
    assert found[0].a.output == "answer 1 of a"
    assert bench.flips(a.id, b.id, "other") == []


def test_suites_do_not_mix() -> None:
    a, b = kept_run("a", {"code": ones(0.5)}), kept_run("b", {"code": ones(0.5)}, suite="other")
    with pytest.raises(BenchError, match="different suites"):
        bench.compare([a.id, b.id])
    with pytest.raises(BenchError, match="between 2 and"):
        bench.compare([a.id, a.id])


def test_the_leaderboard_has_the_ranks_that_chance_leaves_open() -> None:
    kept_run("top", {"code": ones(0.95)})
    kept_run("middle", {"code": ones(0.52)})
    kept_run("near", {"code": ones(0.50)})
    kept_run("low", {"code": ones(0.05)})
    kept_run("low", {"code": ones(0.06)})  # a newer run of the same version replaces the older
    board = bench.leaderboard("mine")
    assert [(row.label, row.rank, row.first, row.last) for row in board.rows] == [
        ("top", 1, 1, 1), ("middle", 2, 2, 3), ("near", 3, 2, 3), ("low", 4, 4, 4)
    ]  # fmt: skip
    assert board.rows[-1].result.score is not None
    assert board.rows[-1].result.score.value == pytest.approx(0.06)
    assert [row.label for row in bench.leaderboard("mine", filter="MID").rows] == ["middle"]
    assert bench.leaderboard("none").rows == ()


def test_seeds_do_not_mix_on_a_leaderboard() -> None:
    kept_run("old", {"code": ones(0.5)})
    kept_run("new", {"code": ones(0.5)}, seed=7)
    assert [row.label for row in bench.leaderboard("mine").rows] == ["new"]
    assert [row.label for row in bench.leaderboard("mine", seed=0).rows] == ["old"]


def test_one_model_under_two_settings_has_two_rows() -> None:
    kept_run("m", {"code": ones(0.5)}, options={"temperature": 0.2})
    kept_run("m", {"code": ones(0.5)}, options={"temperature": 0.9})
    labels = {row.label for row in bench.leaderboard("mine").rows}
    assert labels == {"m (temperature 0.2)", "m (temperature 0.9)"}


def test_groups_make_intervals_wider() -> None:
    values: list[float | None] = [float(n // 10 % 2) for n in range(100)]  # ten of one kind each
    alone = bench.result(kept_run("m", {"t": values})).score
    related = bench.result(kept_run("m", {"t": values}, groups=10)).score
    assert alone is not None and related is not None
    assert related.high - related.low > 1.5 * (alone.high - alone.low)


def test_pareto_has_only_what_nobody_beats() -> None:
    runs = [kept_run(name, {"t": ones(share)}) for name, share in (("a", 0.9), ("b", 0.5))]
    line = bench.pareto([bench.result(run) for run in runs])
    assert [one.run.model for one in line] == ["a"]  # the same memory, a better score


def test_speed_and_memory_are_medians_of_the_answers() -> None:
    found = bench.result(kept_run("m", {"t": ones(0.5)}))
    assert found.tokens_per_second == pytest.approx(50.0)
    assert found.prompt_speed == pytest.approx(400.0)
    assert found.first_token == 0.5 and found.seconds_per_answer == 2.5
    assert found.quality_per_gb == pytest.approx(0.5 / 0.5)
    assert found.joules_per_token is None


def test_history_has_every_version() -> None:
    kept_run("m", {"t": ones(0.4)})
    kept_run("m", {"t": ones(0.6)})
    scores = [one.score.value for one in bench.history("m", "mine") if one.score]
    assert scores == [pytest.approx(0.4), pytest.approx(0.6)]
