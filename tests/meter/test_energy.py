"""Energy: the processor's counters and the cards' power, as the files of a machine tell them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from rapl_zones import zone

from workbench.meter._energy import Meter


def test_rapl_adds_packages_and_their_memory(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    core = zone(tmp_path, "intel-rapl:0:0", "core", 5)
    dram = zone(tmp_path, "intel-rapl:0:1", "dram", 2_000_000)
    second = zone(tmp_path, "intel-rapl:1", "package-1", 7)
    psys = zone(tmp_path, "intel-rapl:2", "psys", 7)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1)  # the same package by another way
    with Meter(tmp_path) as meter:
        assert meter.joules() == 0
        for file, now in ((first, 4_000_000), (core, 3_000_000), (dram, 2_500_000)):
            file.write_text(str(now))
        second.write_text(str(1_000_007))
        psys.write_text("999999999")
        assert meter.joules() == pytest.approx(3 + 0.5 + 1)
        assert "package-0" in meter.source and "dram:0:1" in meter.source
        assert "core" not in meter.source and "psys" not in meter.source


def test_rapl_counters_go_round(tmp_path: Path) -> None:
    file = zone(tmp_path, "intel-rapl:0", "package-0", 9_000_000, most=10_000_000)
    with Meter(tmp_path) as meter:
        total = 0.0
        for now in (9_900_000, 500_000, 400_000, 10_000_000, 0):
            file.write_text(str(now))
            joules = meter.joules()
            assert joules is not None and joules >= total
            total = joules
    assert total == pytest.approx(0.9 + 0.6 + 9.9 + 9.6 + 0.0)


def test_psys_stands_in_where_there_is_no_package(tmp_path: Path) -> None:
    file = zone(tmp_path, "intel-rapl:0", "psys", 0)
    with Meter(tmp_path) as meter:
        file.write_text("2000000")
        assert meter.joules() == pytest.approx(2)


def test_counters_that_may_not_be_read_are_named(tmp_path: Path) -> None:
    file = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    file.unlink()
    file.mkdir()  # also root cannot read that
    with Meter(tmp_path) as meter:
        assert meter.joules() is None
        assert "may not be read" in meter.source and "administrator" in meter.source
    with Meter(tmp_path / "none") as meter:
        assert meter.joules() is None
        assert meter.source == "none: this machine shows no counters of energy"
    with Meter(tmp_path, here=False) as meter:
        assert meter.joules() is None
        assert "another machine" in meter.source


def test_a_counter_that_breaks_later_stands_still(tmp_path: Path) -> None:
    file = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    with Meter(tmp_path) as meter:
        file.write_text("1000000")
        assert meter.joules() == 1
        file.write_text("rubbish")
        assert meter.joules() == 1


def test_the_power_of_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\nwhile true; do echo '0, 100.0'; echo '1, 50.5'; echo '2, [N/A]'; sleep 0.02; "
        "done\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with Meter(tmp_path / "none") as meter:
        assert meter.source == "the power of the cards by nvidia-smi"
        time.sleep(0.1)  # until both cards have spoken
        before, begun = meter.joules(), time.monotonic()
        time.sleep(0.1)
        after, took = meter.joules(), time.monotonic() - begun
    assert before is not None and after is not None
    assert (after - before) / took == pytest.approx(150.5, rel=0.05)
