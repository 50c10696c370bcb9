"""The ledger: what it lets in, what it keeps, and who sees it."""

from __future__ import annotations

import math
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ledger_lines import GUESS, corrected, fill, line, stored
from sqlalchemy import select

from workbench import fit
from workbench.errors import FitError, StoreError
from workbench.fit import Estimate, Load, _ledger
from workbench.settings import home
from workbench.store import StoredCalibration, engine, session


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Nothing that was read in another test's home is still known."""
    _ledger.forget()


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
