"""Slow answers: what was measured against what was predicted, and each reason that is seen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from doctor_tools import examine

from workbench import fit
from workbench.doctor import Check
from workbench.doctor._slow_machine import machine_reasons
from workbench.doctor._slow_models import cache_reasons, main_type, unsuited
from workbench.engines import Engine
from workbench.hardware import Gpu


def notes() -> list[Check]:
    return [item for item in examine()["speed"] if item.ok is None]


def measured(speed: float, *, busy: bool = False, model: str = "big:latest") -> None:
    """A line of the ledger: 9 to 14 tokens/s had been predicted."""
    predicted = fit.Estimate(11.0, 9.0, 14.0, "calibration")
    line = fit.Measurement(
        "generation_speed", speed, "embedded-cpu", "llama", model, formula=predicted,
        corrected=predicted, counts=not busy, details={"busy": busy},
    )  # fmt: skip
    fit.record(line)


def test_as_quick_as_predicted_is_no_note() -> None:
    measured(9.5)
    measured(20.0, model="other:latest")
    assert not [item for item in notes() if "predicted" in item.message]


def test_slower_than_predicted_is_told_with_both_numbers() -> None:
    for speed in (3.1, 9.5, 2.9, 3.0):
        measured(speed)
    (item,) = [item for item in notes() if "predicted" in item.message]
    assert "big:latest wrote 3 tokens/s" in item.message and "9 to 14" in item.message
    assert item.fix


def test_one_slow_answer_among_quick_ones_is_no_note() -> None:
    for speed in (9.5, 3.1, 11.0):
        measured(speed)
    assert not [item for item in notes() if "predicted" in item.message]


def test_a_busy_machine_is_the_reason_that_was_seen() -> None:
    measured(3.0, busy=True)
    (item,) = [item for item in notes() if "predicted" in item.message]
    assert item.fix is not None and "Other programs had the processors" in item.fix


def test_programs_that_take_the_processors_are_named() -> None:
    from workbench.hardware import usable_cores

    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(usable_cores()[1] + 1)
    ]
    try:
        reasons, _ = machine_reasons("")
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    (others,) = [one for one in reasons if "other programs" in one.what]
    assert "process " in others.what and f"process {os.getpid()})" not in others.what


def test_threads_that_are_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr("workbench.hardware.usable_cores", lambda: (8, 8))
    reasons, _ = machine_reasons("")
    (threads,) = [one for one in reasons if "OMP_NUM_THREADS" in one.what]
    assert "2 of 8 cores" in threads.what


def test_a_model_that_is_set_to_few_threads(
    live: Engine, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in live.create("lame", files=tiny_gguf, parameters={"num_thread": 1}):
        pass
    live.load("lame")
    assert not [item for item in notes() if "num_thread" in item.message]
    monkeypatch.setattr("workbench.hardware.usable_cores", lambda: (8, 16))
    (item,) = [item for item in notes() if "num_thread" in item.message]
    assert "lame:latest is set to 1 of 8 cores" in item.message


def test_a_card_that_is_not_used(
    live: Engine, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in live.create("tiny", files=tiny_gguf):
        pass
    live.load("tiny")
    assert not [item for item in notes() if "though there is" in item.message]
    card = Gpu("Card 9000", "nvidia", 24 << 30, 24 << 30)
    monkeypatch.setattr("workbench.hardware.gpus", lambda: (card,))
    (item,) = [item for item in notes() if "though there is" in item.message]
    assert "tiny:latest" in item.message and "Card 9000" in item.message


def test_contexts_that_fill_the_memory() -> None:
    assert cache_reasons("m", 4096, 1, 10**9, 16 * 10**9) == []
    (found,) = cache_reasons("m", 131_072, 4, 12 * 10**9, 16 * 10**9)
    assert "4 contexts of 131072 tokens" in found.what and "12.0 of 16.0 GB" in found.what


def test_quantisations_that_a_processor_is_slow_with() -> None:
    new, old = ("avx2", "fma", "f16c", "avx512_bf16"), ("avx2", "fma", "f16c")
    assert unsuited("Q4_K_M", old, "x86_64") == "" == unsuited("BF16", new, "x86_64")
    assert "no instructions for BF16" in unsuited("BF16", old, "x86_64")
    assert "no AVX2" in unsuited("Q4_0", (), "x86_64")
    assert unsuited("Q4_0", ("neon",), "arm64") == ""
    assert "tables" in unsuited("IQ2_XXS", old, "x86_64")
    assert "4 bytes" in unsuited("f32", new, "AMD64")
    assert [main_type(one) for one in ("Q4_K_M", "q6_k", "IQ2_XXS", "BF16")] == [
        "Q4_K", "Q6_K", "IQ2_XXS", "BF16",
    ]  # fmt: skip
