"""The ledger: what it lets in, what it keeps, and what it makes of an estimate."""

from __future__ import annotations

import math
import os
import random
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from workbench import fit
from workbench.errors import FitError, StoreError
from workbench.fit import Estimate, Load, Measurement, Memory, Part, Speed, _correction, _ledger
from workbench.settings import home
from workbench.store import StoredCalibration, StoredEstimate, engine, session

GUESS = Estimate(1000.0, 800.0, 1250.0, "formula")


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Nothing that was read in another test's home is still known."""
    _ledger.forget()


def line(measured: float = 1200.0, **more: Any) -> Measurement:
    fields: dict[str, Any] = {"model": "m:latest", "formula": GUESS, "load": Load()} | more
    return Measurement(
        fields.pop("quantity", "memory_ram"),
        measured,
        fields.pop("backend", "embedded-cpu"),
        fields.pop("architecture", "llama"),
        **fields,
    )


def fill(ratios: list[float], **more: Any) -> None:
    """One line of a model of its own per ratio of measured to predicted."""
    name = str(random.random())
    fit.record(
        *(line(1000.0 * ratio, model=f"{name}-{n}", **more) for n, ratio in enumerate(ratios))
    )


def corrected(estimate: Estimate = GUESS, **more: Any) -> Estimate:
    about = {"quantity": "memory_ram", "backend": "embedded-cpu", "architecture": "llama"}
    return fit.corrected(estimate, **(about | more))


def stored() -> list[StoredEstimate]:
    with session(read_only=True) as opened:
        return list(opened.scalars(select(StoredEstimate).order_by(StoredEstimate.id)))


def test_a_line_is_kept_whole() -> None:
    shown = Estimate(1100.0, 900.0, 1300.0, "formula, corrected")
    details = {"prompt_tokens": 7, "busy": None}
    fit.record(
        line(
            digest="d",
            quantisation="Q4_K_M",
            version="xllamacpp 1",
            load=Load(context=8192, slots=4, threads=2),
            corrected=shown,
            details=details,
        )
    )
    (row,) = stored()
    assert (row.machine, row.backend, row.version) == (
        fit.fingerprint(),
        "embedded-cpu",
        "xllamacpp 1",
    )
    assert (row.model, row.digest, row.architecture) == ("m:latest", "d", "llama")
    assert (row.quantisation, row.quantity, row.measured) == ("Q4_K_M", "memory_ram", 1200.0)
    assert (row.predicted, row.low, row.high, row.basis) == (1000.0, 800.0, 1250.0, "formula")
    assert (row.corrected, row.corrected_low, row.corrected_high) == (1100.0, 900.0, 1300.0)
    assert (row.load["context"], row.load["slots"], row.load["threads"]) == (8192, 4, 2)
    assert (row.details, row.counts) == (details, True)


def test_a_line_without_a_prediction_is_kept_and_compared_with_nothing() -> None:
    fit.record(line(formula=None, load=None))
    (row,) = stored()
    assert (row.predicted, row.low, row.corrected, row.load) == (None, None, None, {})
    (error,) = fit.errors()
    assert (error.count, error.median, error.bias, error.p95) == (0, None, None, None)
    assert corrected() == GUESS


@pytest.mark.parametrize(
    "wrong",
    [
        {"measured": 0},
        {"measured": -5.0},
        {"measured": math.nan},
        {"measured": math.inf},
        {"measured": 1e308},
        {"measured": True},
        {"measured": "12"},
        {"formula": Estimate(math.nan, 1, 2, "")},
        {"formula": Estimate(0.0, 0.0, 0.0, "")},
        {"corrected": Estimate(1.0, -1.0, 2.0, "")},
        {"quantity": "beauty"},
        {"model": ""},
        {"backend": ""},
        {"details": {"x": math.nan}},
        {"details": {"x": object()}},
    ],
)
def test_what_cannot_be_true_is_refused_with_all_that_came_with_it(wrong: dict[str, Any]) -> None:
    with pytest.raises(FitError):
        fit.record(line(), line(**wrong))
    assert stored() == []


def test_odd_words_are_kept_as_far_as_databases_can() -> None:
    fit.record(line(model="a\x00b" + "x" * 500 + "\ud800", architecture="é" * 99))
    (row,) = stored()
    assert row.model == "ab" + "x" * 254
    assert row.architecture == "é" * 64


def test_the_same_key_takes_the_place() -> None:
    fit.record(line(1000.0, key="load-1", counts=False, details={"when": "idle"}))
    fit.record(line(1500.0, key="load-1", details={"when": "ended"}), line(7.0, key="load-2"))
    first, second = stored()
    assert (first.measured, first.counts, first.details) == (1500.0, True, {"when": "ended"})
    assert second.measured == 7.0


def test_the_oldest_lines_of_a_model_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ledger, "KEEP", 5)
    fit.record(line(1.0, model="other"), line(2.0, quantity="prompt_speed"))
    for n in range(12):
        fit.record(line(100.0 + n))
    assert [row.measured for row in stored()] == [1.0, 2.0, 107, 108, 109, 110, 111]


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


def test_new_lines_are_seen_at_once_here_and_soon_from_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill([1.3] * 3)
    before = corrected().value
    fill([1.3] * 3)
    here = corrected().value
    assert here > before
    monkeypatch.setattr(_ledger, "_FRESH", 0.0)
    corrected()
    code = (
        "from workbench.fit import *\n"
        "guess = Estimate(1000.0, 800.0, 1250.0, 'formula')\n"
        "record(*(Measurement('memory_ram', 1300.0, 'embedded-cpu', 'llama', f'x{n}',\n"
        "    formula=guess) for n in range(20)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    _ledger.forget()  # what the seconds would do
    assert corrected().value > here


def test_thousands_of_estimates_are_one_query(monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy import event

    fill([1.3] * 3)
    monkeypatch.setattr(_ledger, "_FRESH", 3600.0)
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        asked.append(statement)

    event.listen(engine(), "before_cursor_execute", note)
    for n in range(2000):
        corrected(replace(GUESS, value=900.0 + n / 10), architecture=f"a{n % 7}")
    assert len([statement for statement in asked if "estimates" in statement]) == 1


def test_each_home_has_its_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill([1.3] * 9)
    assert corrected() is not GUESS
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "another"))
    assert corrected() is GUESS


def test_a_store_that_cannot_be_used_changes_no_estimate(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", "sqlite:////proc/sys/workbench.db")
    monkeypatch.setattr(_ledger, "_told", set())  # other tests may have been told of it
    for n in range(4):
        assert corrected(architecture=str(n)) is GUESS
    assert fit.errors() == ()
    assert fit.latest_calibration() is None
    assert sum("the ledger cannot be read" in line for line in caplog.messages) == 1
    with pytest.raises(StoreError):
        fit.record(line())
    with pytest.raises(StoreError):
        fit.save_calibration({"bandwidth": 1.0})


def test_rubbish_that_somebody_wrote_into_the_database() -> None:
    fill([1.3] * 3)
    with sqlite3.connect(home() / "workbench.db") as raw:
        raw.execute("UPDATE estimates SET measured = 0 WHERE id = 1")
        raw.execute("UPDATE estimates SET predicted = -1 WHERE id = 2")
    raw.close()
    _ledger.forget()
    assert corrected().value > 1000
    assert fit.errors()[0].count == 1


def test_killed_while_it_writes() -> None:
    """What was confirmed is there, and the file is whole."""
    code = (
        "from workbench.fit import *\n"
        "for n in range(10000):\n"
        "    record(Measurement('memory_ram', n + 1.0, 'embedded-cpu', 'llama', 'm',\n"
        "        key=f'k{n % 7}'))\n"
        "    print(n, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(40)]
        writer.kill()
        told += [int(word) for word in writer.stdout.read().split()]
    assert max(row.measured for row in stored()) >= told[-1] + 1
    assert len(stored()) == 7
    with engine().connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_calibrations() -> None:
    assert fit.latest_calibration() is None
    fit.save_calibration({"bandwidth": 1.5e10, "name": "ü"})
    fit.save_calibration({"bandwidth": 2.5e10})
    fit.save_calibration({"bandwidth": 1.0}, machine="another")
    here = fit.latest_calibration()
    assert here is not None
    assert here["bandwidth"] == 2.5e10
    assert str(here["at"]).endswith("+00:00")
    other = fit.latest_calibration("another")
    assert other is not None
    assert other["bandwidth"] == 1.0
    assert fit.latest_calibration("a third") is None
    for facts in ({"x": math.inf}, {"x": math.nan}, {"x": {1, 2}}):
        with pytest.raises(FitError, match="plain JSON"):
            fit.save_calibration(facts)


def test_old_calibrations_go() -> None:
    for n in range(30):
        fit.save_calibration({"n": n})
    with session(read_only=True) as opened:
        kept = [row.facts["n"] for row in opened.scalars(select(StoredCalibration))]
    assert kept == list(range(10, 30))


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    code = "from workbench.fit import fingerprint; print(fingerprint())"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == fit.fingerprint()
    assert len(fit.fingerprint()) == 16
    assert os.uname().nodename not in fit.fingerprint()


def test_the_door_opens_no_database_by_itself() -> None:
    code = "import sys; import workbench.fit; print('sqlalchemy' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == "False"


def test_quantiles_of_weighted_values() -> None:
    plain = [(float(n), 1.0) for n in range(11)]
    assert _correction._quantile(plain, 0.5) == pytest.approx(5.0)
    assert _correction._quantile([(3.0, 1.0)], 0.95) == 3.0
    assert _correction._quantile([(1.0, 9.0), (2.0, 1.0)], 0.5) < 1.2
