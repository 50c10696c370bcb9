"""What the ledger's lines make of an estimate: corrections, and how sure they are."""

from __future__ import annotations

import math
import random

import pytest
from ledger_lines import GUESS, corrected, fill, line

from workbench import fit
from workbench.fit import Estimate, Load, Memory, Part, Speed, _correction, _ledger


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Nothing that was read in another test's home is still known."""
    _ledger.forget()


def test_nothing_measured_leaves_the_estimate_as_it_is() -> None:
    assert corrected() is GUESS
    fill([1.5] * 9, counts=False)
    fill([1.5] * 9, quantity="memory_gpu")
    fill([1.5] * 9, backend="ollama")
    fill([1.5] * 9, machine="another")
    assert corrected() is GUESS
    assert corrected(machine="another").value > 1200


def test_the_correction_grows_with_the_measurements() -> None:
    values = []
    for _ in range(20):
        fill([1.3])
        values.append(corrected().value)
    assert values == sorted(values)
    assert 1000 < values[0] < 1150
    assert values[-1] == pytest.approx(1300, rel=0.03)
    assert corrected().basis == "formula, corrected by 20 measurements of llama models here"


def test_the_interval_narrows_and_holds_what_is_measured() -> None:
    chance = random.Random(4)
    draw = [1.2 * math.exp(chance.gauss(0, 0.04)) for _ in range(240)]
    widths = []
    for end in (2, 8, 40):
        fill(draw[:end] if end == 2 else draw[2:end] if end == 8 else draw[8:end])
        now = corrected()
        assert now.low < now.value < now.high
        widths.append(math.log(now.high / now.low))
    assert widths == sorted(widths, reverse=True)
    held = [now.low <= 1000 * ratio <= now.high for ratio in draw[40:]]
    assert sum(held) / len(held) >= 0.88, "9 of 10 that it has not seen"
    assert widths[-1] < 0.25, "and not because everything would fit"


def test_one_measurement_leaves_a_wide_interval() -> None:
    fill([1.05])
    now = corrected()
    assert math.log(now.high / now.low) > 0.3, "hardly narrower than the formula's own 0.45"


@pytest.mark.parametrize("broken", [1e-6, 1e-3, 50.0, 1e6])
def test_a_broken_line_makes_nothing_absurd(broken: float) -> None:
    fill([broken])
    alone = corrected()
    assert 1000 / 1.6 < alone.value < 1000 * 1.6
    assert 0 < alone.low < alone.high < 1e5
    fill([1.1] * 12)
    among = corrected()
    assert among.value == pytest.approx(1100, rel=0.05)


def test_no_correction_is_larger_than_fourfold() -> None:
    fill([1000.0] * 300)
    now = corrected()
    assert 3900 < now.value <= 4000
    assert now.high <= now.value * 10.001


def test_a_model_that_ran_often_counts_as_one() -> None:
    fill([1.0] * 6)
    fit.record(*(line(2000.0, model="often", digest="x") for _ in range(60)))
    assert corrected().value < 1050


def test_other_architectures_help_a_little() -> None:
    for architecture in ("qwen2", "gemma3", "mistral", "phi3", "qwen3"):
        fill([1.4] * 4, architecture=architecture)
    unknown = corrected()
    assert 1150 < unknown.value < 1400
    assert unknown.basis == "formula, corrected by 20 measurements of other models here"
    fill([0.9] * 12)
    assert corrected().value < 1000, "its own measurements weigh more"
    assert corrected(architecture="qwen2").value > 1250


def test_one_architecture_alone_says_little_of_the_others() -> None:
    fill([1.4] * 40)
    assert corrected(architecture="mamba").value < 1130


def test_memory_and_speed_are_corrected_by_their_own_lines() -> None:
    for quantity, ratio in (
        ("memory_ram", 1.2),
        ("memory_gpu", 1.3),
        ("prompt_speed", 0.5),
        ("generation_speed", 0.7),
    ):
        for backend in ("embedded-cpu", "embedded-gpu"):
            times = 1 if backend == "embedded-cpu" else 1.5
            fill([ratio * times] * 30, quantity=quantity, backend=backend)
    parts = (Part("weights", 1000, "ram"),)
    here = fit.corrected_memory(Memory(parts, GUESS), "llama", Load())
    assert here.ram.value == pytest.approx(1200, rel=0.05)
    assert (here.gpu, here.parts) == (None, parts)
    there = fit.corrected_memory(Memory(parts, GUESS, GUESS), "llama", Load(gpu_layers=-1))
    assert there.ram.value == pytest.approx(1800, rel=0.05)
    assert there.gpu is not None
    assert there.gpu.value == pytest.approx(1950, rel=0.05)
    pace = fit.corrected_speed(Speed(GUESS, GUESS), "llama", Load())
    assert pace.prompt.value == pytest.approx(500, rel=0.06)
    assert pace.generation.value == pytest.approx(700, rel=0.05)


@pytest.mark.parametrize(
    "odd",
    [
        Estimate(math.nan, 1.0, 2.0, "x"),
        Estimate(math.inf, 1.0, 2.0, "x"),
        Estimate(0.0, 0.0, 0.0, "x"),
        Estimate(-3.0, -4.0, -2.0, "x"),
    ],
)
def test_an_estimate_without_sense_stays_one(odd: Estimate) -> None:
    fill([1.4] * 4)
    assert corrected(odd) is odd


@pytest.mark.parametrize(("low", "high"), [(0.0, math.inf), (math.nan, math.nan), (2000, 10)])
def test_an_interval_without_sense_becomes_one(low: float, high: float) -> None:
    fill([1.4] * 4)
    now = corrected(Estimate(1000.0, low, high, "x"))
    assert 0 < now.low < now.value < now.high < 1e5


def test_correcting_does_not_chase_itself() -> None:
    """The formula stays 30 % low; however often it is corrected, the value settles at the truth."""
    for n in range(60):
        fit.record(line(1300.0, model=f"m{n}", corrected=corrected()))
    assert corrected().value == pytest.approx(1300, rel=0.02)
    (error,) = fit.errors()
    assert error.median == pytest.approx(300 / 1300)
    assert error.bias == pytest.approx(-300 / 1300)
    assert error.corrected_median is not None
    assert error.corrected_median < 0.05


def test_errors_by_kind() -> None:
    for measured in (1000.0, 900.0, 1100.0, 800.0):
        fit.record(line(measured))
    fit.record(line(500.0, architecture="qwen2"), line(500.0, quantity="prompt_speed"))
    fit.record(line(5.0, counts=False))
    found = {(row.quantity, row.architecture): row for row in fit.errors()}
    assert set(found) == {
        ("memory_ram", "llama"),
        ("memory_ram", "qwen2"),
        ("prompt_speed", "llama"),
    }
    row = found["memory_ram", "llama"]
    signed = sorted([0.0, 1000 / 900 - 1, 1000 / 1100 - 1, 0.25])
    assert (row.backend, row.count) == ("embedded-cpu", 4)
    assert row.bias == pytest.approx((signed[1] + signed[2]) / 2)
    assert row.median == pytest.approx((1 - 1000 / 1100 + 1000 / 900 - 1) / 2)
    assert row.p95 is not None
    assert 0.111 < row.p95 <= 0.25
    assert row.newest.tzinfo is not None
    assert row.corrected_median is None


def test_another_version_of_the_formula_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    fill([1.5] * 12)
    assert corrected().value > 1300
    monkeypatch.setitem(_ledger.FORMULA, "memory_ram", 99)
    _ledger.forget()
    assert corrected() is GUESS
    assert fit.errors() == ()


def test_a_new_calibration_starts_the_speeds_anew() -> None:
    for quantity in ("prompt_speed", "memory_ram"):
        fill([1.5] * 12, quantity=quantity)
    fit.save_calibration({"bandwidth": 1.0}, machine="another")
    assert corrected(quantity="prompt_speed").value > 1300
    fit.save_calibration({"bandwidth": 1.0})
    assert corrected(quantity="prompt_speed") is GUESS
    assert corrected().value > 1300, "memory hangs on no calibration"
    fill([0.8] * 12, quantity="prompt_speed")
    assert corrected(quantity="prompt_speed").value < 850
    assert {row.quantity for row in fit.errors()} == {"prompt_speed", "memory_ram"}


def test_quantiles_of_weighted_values() -> None:
    plain = [(float(n), 1.0) for n in range(11)]
    assert _correction._quantile(plain, 0.5) == pytest.approx(5.0)
    assert _correction._quantile([(3.0, 1.0)], 0.95) == 3.0
    assert _correction._quantile([(1.0, 9.0), (2.0, 1.0)], 0.5) < 1.2
