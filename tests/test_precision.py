"""Which precision is the quicker one, on whatever processor this is."""

from __future__ import annotations

import time

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from workbench.hardware import machine
from workbench.precision import PRECISIONS, matmul_peak, quicker_precision


@pytest.mark.parametrize("slow", PRECISIONS)
def test_the_quicker_one_is_taken_and_what_is_emulated_is_not_tried(slow: str) -> None:
    tried = set()

    def step(precision: str) -> None:
        tried.add(precision)
        time.sleep(0.05 if precision == slow else 0.0)

    quicker = quicker_precision(step)
    assert quicker == ("bf16" if slow == "fp32" and "bf16" in tried else "fp32")
    if torch.backends.cpu.get_cpu_capability() in {"DEFAULT", "AVX2"}:
        assert not tried, "bf16 is emulated here"
    if {"avx512_bf16", "amx_bf16"} & set(machine().instruction_sets):
        assert tried == set(PRECISIONS)


def test_a_peak_is_measured_by_products_that_grow_while_they_are_quick() -> None:
    sides = []

    class Watched(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if func is torch.ops.aten.mm.default:
                sides.append(len(args[0]))
            return func(*args, **(kwargs or {}))

    with Watched():
        peaks = {precision: matmul_peak(precision) for precision in PRECISIONS}
    assert sides == sorted(sides[: sides.index(256, 3)]) + sorted(sides[sides.index(256, 3) :])
    assert peaks["fp32"] > 1e8 and peaks["bf16"] > 1e7
    if peaks["bf16"] < 1e10:  # 17 billion operations, for which that takes long
        assert sides[-1] < 2048
