"""Speeds: the sum by hand, what is read and what is not, what makes them slower and surer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import FitError
from workbench.fit import Architecture, Load, Network, Profile, ProfileGpu, computed_network
from workbench.machines import PROFILES, Calibration, find_profile, profile_speed, speed

LAYERS, WIDTH, INNER, VOCABULARY, HEADS, KV, HEAD = 3, 256, 512, 1000, 8, 2, 32
ATTENTION = 2 * WIDTH * WIDTH + 2 * WIDTH * KV * HEAD  # numbers of one layer
FEED_FORWARD = 3 * WIDTH * INNER
LLAMA = Architecture(
    "llama", LAYERS, WIDTH, VOCABULARY, HEADS, (KV,) * LAYERS, (HEAD,) * LAYERS, (HEAD,) * LAYERS,
    (None,) * LAYERS, INNER, tied=False, context=32768,
)  # fmt: skip
COSTS = {
    "read:F16": 2e-11, "compute:F16": 1e-11, "read:Q8_0": 3e-11, "compute:Q8_0": 2e-11,
    "cache:f16": 1e-10, "cache:q8_0": 3e-10, "cache:q4_0": 5e-10, "attention": 1e-11,
    "attention-compute:f16": 1e-11, "attention-compute:q8_0": 3e-11,
    "attention-compute:q4_0": 3e-11, "layer": 2e-5, "token": 5e-5, "vocabulary": 1e-9,
    "experts-read": 1.5, "experts-compute": 2.0, "rows": 1e-18, "cells": 1e-18,
}  # fmt: skip
SINGLE = {"read": 2.0, "compute": 1.9, "attention": 1.9, "layer": 0.5}
HERE = Calibration("2026-11-21T00:00:00+00:00", "m", "xllamacpp 1", 4, 4, 4e10, COSTS, SINGLE)


def network(shape: Architecture = LLAMA, quantisation: str = "F16") -> Network:
    return computed_network(shape, quantisation)


def mixture(used: int, experts: int = 8) -> Network:
    shape = replace(
        LLAMA, name="qwen3moe", inner=0, experts=experts, experts_used=used, expert_inner=INNER
    )
    return network(shape)


def writes(one: Network, load: Load | None = None, calibration: Calibration = HERE) -> float:
    found = speed(one, load or Load(), calibration)
    assert found is not None
    return found.generation.value


def reads(one: Network, load: Load | None = None, calibration: Calibration = HERE) -> float:
    found = speed(one, load or Load(), calibration)
    assert found is not None
    return found.prompt.value


def test_writing_is_the_sum_by_hand() -> None:
    costs = {**COSTS, "rows": 1e-8, "cells": 1e-7}
    found = speed(network(), Load(), replace(HERE, costs=costs), prompt=500, written=100)
    weights = 2 * (LAYERS * (ATTENTION + FEED_FORWARD) + WIDTH * VOCABULARY)
    cached = 550 * LAYERS * KV * 2 * HEAD * 2
    operations = 2 * 550 * LAYERS * HEADS * 2 * HEAD
    expected = weights * 2e-11 + cached * 1e-10 + operations * 1e-11
    expected += LAYERS * 2e-5 + 5e-5 + VOCABULARY * 1e-9
    rows = LAYERS * (2 * WIDTH + 2 * KV * HEAD + 2 * INNER + WIDTH) + VOCABULARY
    expected += rows * 1e-8 + 550 * LAYERS * 1e-7
    assert found is not None
    assert found.generation.value == pytest.approx(1 / expected)


def test_reading_is_the_sum_by_hand() -> None:
    found = speed(network(), Load(batch=256), HERE, prompt=512)
    rows = LAYERS * ATTENTION + (LAYERS - 1) * FEED_FORWARD
    alone = 2 * (FEED_FORWARD + WIDTH * VOCABULARY)  # bytes: only the last token passes them
    pairs = 512 * (512 + 256) / 2
    expected = 512 * 2 * rows * 1e-11 + alone * 2e-11
    expected += 2 * pairs * LAYERS * HEADS * 2 * HEAD * 1e-11 + 2 * (LAYERS * 2e-5 + 5e-5)
    assert found is not None
    assert found.prompt.value == pytest.approx(512 / expected)


def test_tied_embeddings_are_read_as_the_output_matrix() -> None:
    assert writes(network(replace(LLAMA, tied=True))) == pytest.approx(writes(network()))


def test_of_experts_those_that_are_used_are_read() -> None:
    few, many = mixture(used=2), mixture(used=2, experts=64)
    router = 56 * LAYERS * WIDTH * 4 * COSTS["read:F16"]  # a larger router, nothing else
    assert 1 / writes(many) - 1 / writes(few) == pytest.approx(router, rel=0.01)
    more = 2 * LAYERS * FEED_FORWARD * 2 * COSTS["read:F16"] * COSTS["experts-read"]
    assert 1 / writes(mixture(used=4)) - 1 / writes(few) == pytest.approx(more, rel=0.01)
    assert reads(mixture(used=4)) < reads(few)


def test_a_window_caps_what_is_read_of_the_cache() -> None:
    windowed = network(replace(LLAMA, windows=(128, 128, None)))
    load = Load(context=32768)
    for one, more in ((windowed, False), (network(), True)):
        short, long = (speed(one, load, HERE, prompt=length) for length in (1000, 20000))
        assert short is not None and long is not None
        slower = 1 / long.generation.value - 1 / short.generation.value
        layers = LAYERS if more else 1
        per_token = KV * 2 * HEAD * 2 * 1e-10 + 2 * HEADS * 2 * HEAD * 1e-11
        assert slower == pytest.approx(19000 * layers * per_token, rel=1e-6)


def test_nothing_is_told_without_a_calibration() -> None:
    assert speed(network(), Load()) is None


def test_an_encoder_reads_all_tokens_in_all_layers_and_writes_nothing() -> None:
    shape = replace(
        LLAMA, name="bert", kv_heads=(0,) * LAYERS, causal=False, tied=True, context=512,
        extras={"types": 2, "positions": 512},
    )  # fmt: skip
    found = speed(network(shape), Load(context=640, batch=640), HERE)
    weights = LAYERS * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER)
    expected = 512 * 2 * weights * 1e-11 + LAYERS * 2e-5 + 5e-5
    expected += 2 * 512 * 512 * LAYERS * HEADS * 2 * HEAD * 1e-11
    assert found is not None
    assert found.prompt.value == pytest.approx(512 / expected)
    assert found.generation == found.prompt and "only reads" in found.prompt.basis


@pytest.mark.parametrize(
    "rubbish", [{"context": 0}, {"batch": -1}, {"batch": 0}, {"cache_type": "f8"}, {"slots": 0}]
)
def test_loads_that_cannot_be_are_refused(rubbish: dict[str, Any]) -> None:
    with pytest.raises(FitError):
        speed(network(), Load(**rubbish), HERE)
    with pytest.raises(FitError):
        profile_speed(network(), Load(**rubbish), PROFILES["gpu-24gb"])


def test_types_that_were_not_measured_are_named_and_less_sure() -> None:
    known, strange = (speed(network(LLAMA, kind), Load(), HERE) for kind in ("Q8_0", "Q4_K_M"))
    assert known is not None and strange is not None
    assert "not measured" not in known.generation.basis
    assert "Q4_K not measured" in strange.generation.basis.replace(", Q6_K", "")
    assert _width(strange) > _width(known)


def test_a_busy_machine_widens_the_interval_and_says_so() -> None:
    quiet, noisy = (
        speed(network(), Load(), replace(HERE, busy=busy, spread=0.05)) for busy in (False, True)
    )
    assert quiet is not None and noisy is not None
    assert _width(noisy) > _width(quiet)
    assert "other programs" in noisy.prompt.basis
    assert quiet.prompt.value == noisy.prompt.value


def _width(found: object) -> float:
    estimate = found.generation  # type: ignore[attr-defined]
    assert 0 < estimate.low < estimate.value < estimate.high < math.inf
    return float(estimate.high / estimate.low)


@given(st.integers(1, 8), st.integers(1, 8))
def test_more_threads_are_never_slower_where_one_was(few: int, more: int) -> None:
    few, more = sorted((few, more))
    large = replace(HERE, single={**SINGLE, "layer": 1.0})
    loads = (Load(threads=few), Load(threads=more))
    slow, quick = (writes(network(), load, large) for load in loads)
    assert slow <= quick * (1 + 1e-12)


@given(
    st.sampled_from(sorted(COSTS)), st.floats(1.0, 1e3), st.sampled_from(["f16", "q8_0", "q4_0"])
)
def test_what_costs_more_is_never_quicker(key: str, factor: float, cache: str) -> None:
    dearer = replace(HERE, costs={**COSTS, key: COSTS[key] * factor})
    load = Load(cache_type=cache)
    for one in (network(), mixture(2)):
        assert writes(one, load, dearer) <= writes(one, load) * (1 + 1e-12)
        assert reads(one, load, dearer) <= reads(one, load) * (1 + 1e-12)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 4096))
def test_speeds_are_finite_for_any_lengths(context: int, prompt: int, written: int, b: int) -> None:
    found = speed(network(), Load(context=context, batch=b), HERE, prompt=prompt, written=written)
    assert found is not None
    for estimate in (found.prompt, found.generation):
        assert 0 < estimate.low <= estimate.value <= estimate.high < math.inf


# Named machines


def test_data_sheets_say_that_nothing_was_measured() -> None:
    for profile in PROFILES.values():
        load = Load(gpu_layers=-1 if profile.gpus else 0)
        found = profile_speed(network(), load, profile)
        assert found is not None
        assert "not measured" in found.generation.basis
        assert found.generation.high / found.generation.low > 2


def test_a_faster_machine_is_faster_and_a_card_beats_its_processor() -> None:
    profile = find_profile("gpu-24gb")
    quick = replace(profile, gpus=(ProfileGpu("x", 24 << 30, 4e12, 9e14),))
    large = network(replace(LLAMA, width=4096, inner=16384, heads=32, vocabulary=32000))
    speeds = [
        profile_speed(large, Load(gpu_layers=layers), one)
        for one, layers in ((profile, 0), (profile, 2), (profile, -1), (quick, -1))
    ]
    values = [one.generation.value for one in speeds if one is not None]
    assert len(values) == 4 and values == sorted(values)


def test_two_cards_are_as_quick_as_one() -> None:
    one, two = (find_profile(name) for name in ("gpu-24gb", "gpu-2x24gb"))
    load = Load(gpu_layers=-1)
    assert profile_speed(network(), load, one).generation.value == pytest.approx(  # type: ignore[union-attr]
        profile_speed(network(), load, two).generation.value  # type: ignore[union-attr]
    )


def test_an_unknown_rate_gives_no_number() -> None:
    unknown = Profile("x", "x", 1 << 34, (ProfileGpu("x", 1 << 34),), cores=4, bandwidth=5e10)
    assert profile_speed(network(), Load(gpu_layers=-1), unknown) is None
    assert profile_speed(network(), Load(), unknown) is not None
    assert profile_speed(network(), Load(), replace(unknown, bandwidth=None)) is None
    assert profile_speed(network(), Load(), find_profile("this")) is None
