"""Calibration: real and short, cancelled, solved from known costs, read back from rubbish."""

from __future__ import annotations

import math
import tempfile
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from workbench.errors import FitError
from workbench.fit import Architecture, Load, computed_network, latest_calibration, save_calibration
from workbench.jobs import JobCancelled, JobContext
from workbench.machines import calibrate, newest_calibration, run_calibration, speed, this_machine
from workbench.machines._calibrate import _refuse_held_up, _Watch, of_facts
from workbench.machines._derive import derive
from workbench.machines._probe import TYPES, network_of_probe, probes
from workbench.machines._speed import seconds
from workbench.machines._work import work

SHAPE = Architecture(
    "llama", 2, 256, 1000, 4, (4, 4), (64, 64), (64, 64), (None, None), 512, tied=False
)


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_short_calibration_is_measured_kept_and_used(own_temporary_folder: Path) -> None:
    assert newest_calibration() is None
    told: list[tuple[float, str]] = []
    found = run_calibration(lambda *told_now: told.append(told_now), scale=0.05, threads=1)
    assert newest_calibration() == found
    assert found.threads == found.best_threads == 1
    assert all(0 < cost < math.inf for cost in found.costs.values())
    assert {"read:Q8_0", "compute:Q8_0", "cache:q8_0", "layer", "vocabulary"} <= set(found.costs)
    stored = latest_calibration()
    assert stored is not None and stored["summary"] == found.summary
    assert found.bandwidth > 0 and found.spread >= 0 and "xllamacpp" in found.version
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert told[-1][0] == 1.0
    predicted = speed(computed_network(SHAPE, "Q8_0"), Load())
    assert predicted is not None and "calibration of" in predicted.generation.basis
    here = this_machine()
    assert here.bandwidth == found.bandwidth and here.source.startswith("measured 20")
    assert not list(own_temporary_folder.iterdir())


def test_a_cancelled_calibration_leaves_nothing_behind(own_temporary_folder: Path) -> None:
    stop = threading.Event()
    job = JobContext("here", Path(), stop=stop, report=lambda report: stop.set())
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(JobCancelled):
        calibrate(job)  # cancelled as soon as it reports
    assert newest_calibration() is None
    assert not list(own_temporary_folder.iterdir())
    assert not set(psutil.Process().children(recursive=True)) - before


def known(threads: int) -> tuple[list[Any], dict[str, Any], Any]:
    """Rows as a machine would give them whose costs are known."""
    costs = {"layer": 2e-5, "token": 6e-5, "vocabulary": 2e-9, "attention": 2e-11}
    costs |= {"rows": 8e-9, "cells": 1e-7}
    costs |= {"cache:f16": 1e-10, "cache:q8_0": 3e-10, "read:F32": 1e-30, "compute:F32": 1e-30}
    costs |= {"attention-compute:f16": 8e-12, "attention-compute:q8_0": 3e-11}
    for number, kind in enumerate(TYPES):
        costs |= {f"read:{kind}": (2 + number) * 1e-11, f"compute:{kind}": (3 + number) * 1e-12}
    facts = {"at": "", "machine": "", "version": "", "threads": threads, "best_threads": threads}
    single = {"layer": 0.5, "token": 0.8, "read": 1.8, "compute": 1.9, "cache": 1.9}
    single |= {"attention": 1.9, "attention-compute": 1.9, "rows": 1.9, "cells": 1.9}
    costs |= {"experts-read": 1.25, "experts-compute": 2.0}
    truth = of_facts({**facts, "bandwidth": 4e10, "costs": costs, "single": single})
    assert truth is not None
    rows = {}
    for probe in probes(1, threads):
        cells = []
        for prompt in probe.prompts:
            load = Load(context=1 << 16, cache_type=probe.cache_type)
            amounts = work(network_of_probe(probe), load, prompt, probe.written)
            read, write = (seconds(one, truth, probe.threads or threads) for one in amounts)
            cells.append({"prompt": prompt, "read": [2 * read, read], "write": [write]})
        rows[probe.name] = {"rows": cells}
    return list(probes(1, threads)), rows, truth


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_known_costs_are_found_again(threads: int) -> None:
    wanted, rows, truth = known(threads)
    costs, single, best = derive(wanted, rows, threads)
    # what the tiny networks take is shared out between these four: only their sum can be told
    shared = {"layer", "token", "vocabulary", "rows"}
    for key, cost in truth.costs.items():
        if "F32" not in key and key not in shared:
            assert costs[key] == pytest.approx(cost, rel=0.1), key
    found = replace(truth, costs=costs, single=single)
    real = Architecture(
        "llama", 16, 2048, 32000, 32, (8,) * 16, (64,) * 16, (64,) * 16, (None,) * 16, 8192,
        tied=False,
    )  # fmt: skip
    for amounts in work(computed_network(real, "Q8_0"), Load(context=4096)):
        assert seconds(amounts, found) == pytest.approx(seconds(amounts, truth), rel=0.1)
    if threads > 1:
        assert single["read"] == pytest.approx(1.8, rel=0.05)
        assert single["compute"] == pytest.approx(1.9, rel=0.05)
    assert best == threads


def test_types_that_a_build_lacks_are_left_out_and_what_is_needed_is_not() -> None:
    wanted, rows, _ = known(2)
    del rows["weights-MXFP4"], rows["experts-Q4_K"]
    costs, _, _ = derive(wanted, rows, 2)
    assert "read:MXFP4" not in costs and costs["read:Q6_K"] > 0
    for name in ("shallow-2", "attention-wide", "weights-Q8_0", "experts-Q8_0"):
        with pytest.raises(FitError, match="calibrate"):
            derive(wanted, {key: row for key, row in rows.items() if key != name}, 2)


def test_a_type_that_was_held_up_is_forgotten_and_a_machine_that_was_is_not_calibrated() -> None:
    wanted, rows, _ = known(2)
    rows["weights-Q4_K"]["rows"][0]["write"] = [9.0]
    costs, _, _ = derive(wanted, rows, 2)
    assert "read:Q4_K" not in costs and costs["compute:Q4_K"] > 0
    rows["weights-Q8_0"]["rows"][0]["write"] = [9.0]
    with pytest.raises(FitError, match="Close other programs"):
        derive(wanted, rows, 2)


def test_threads_that_were_held_up_are_refused_and_a_bit_of_work_is_not() -> None:
    watch = _Watch()
    for started, single in ((0.0, 0.5), (watch.work, 1.5)):
        watch.work = started
        watch.start = time.monotonic() - 1
        if single < 1:
            with pytest.raises(FitError, match="Calibrate when they rest"):
                _refuse_held_up({"read": single}, watch)
        else:
            _refuse_held_up({"read": single}, watch)


@pytest.mark.parametrize(
    "rubbish",
    [
        {},
        {"bandwidth": "fast"},
        {"costs": {}},
        {"costs": {"layer": -1.0}},
        {"costs": None},
        {"threads": 0},
        {"bandwidth": math.nan},
        {"single": {"read": 0.0}},
        {"spread": math.inf},
        {"at": 5},
    ],
)
def test_rubbish_that_was_stored_is_no_calibration(rubbish: dict[str, Any]) -> None:
    _, _, truth = known(2)
    good = asdict(replace(truth, at="2026"))
    assert of_facts(good) is not None
    assert of_facts({**good, **rubbish} if rubbish else {}) is None


def test_a_calibration_of_another_form_counts_as_none() -> None:
    save_calibration({"something": 1, "bandwidth": 5e9})
    assert newest_calibration() is None
    assert speed(computed_network(SHAPE, "Q8_0"), Load()) is None
