"""Verdicts, layers on cards, the largest context and the best quantisation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shaped import architecture

from workbench.fit import (
    Architecture,
    Load,
    Measurement,
    Profile,
    ProfileGpu,
    best_quantisation,
    computed_network,
    fit,
    largest_context,
    memory,
    record,
)

GB = 10**9
EIGHT = architecture(
    "llama", 32, 4096, heads=32, kv=8, inner=14336, vocabulary=128256, context=131072
)
MIXTURE = architecture(
    "qwen3moe", 48, 2048, heads=32, kv=4, head=128, inner=6144, vocabulary=151936, experts=128,
    experts_used=8, expert_inner=768, context=40960,
)  # fmt: skip
Q4 = computed_network(EIGHT, "Q4_K_M")


def machine(ram: float, *cards: float, shared: bool = False) -> Profile:
    gpus = tuple(ProfileGpu(f"card {n}", int(size * GB)) for n, size in enumerate(cards))
    return Profile("test", "a machine", int(ram * GB), gpus, shared)


@pytest.mark.parametrize(
    ("profile", "verdict"),
    [
        (machine(3), "no"),
        (machine(16), "ram"),
        (machine(6), "tight"),
        (machine(16, 24), "gpu"),
        (machine(16, 4), "split"),
        (machine(16, 0.1), "ram"),
        (machine(1, 4), "no"),
        (machine(30, 20, shared=True), "gpu"),
        (machine(6, 24, shared=True), "no"),
    ],
)
def test_verdicts(profile: Profile, verdict: str) -> None:
    found = fit(Q4, Load(context=4096), profile)
    assert found.verdict == verdict
    assert found.score is not None and found.headroom is not None and found.reasons
    assert (found.headroom < 0) == (verdict == "no") == (found.score == 0)
    assert found.warnings if verdict in {"no", "tight", "split", "gpu"} else True


def test_as_many_layers_go_to_the_card_as_fit() -> None:
    profile = machine(16, 4)
    found = fit(Q4, Load(), profile)
    layers = found.load.gpu_layers
    assert 0 < layers < EIGHT.layers
    one_more = memory(Q4, replace(found.load, gpu_layers=layers + 1)).gpu
    assert found.memory is not None and found.memory.gpu is not None and one_more is not None
    assert found.memory.gpu.value <= 4 * GB < one_more.value
    assert f"only {layers} of 32 layers fit the GPU" in found.reasons


def test_several_cards_count_together_less_what_each_needs_for_itself() -> None:
    one, two = (fit(Q4, Load(), machine(16, *cards)) for cards in ((5,), (2.5, 2.5)))
    assert 0 < two.load.gpu_layers < one.load.gpu_layers


def test_a_mixture_needs_all_its_experts() -> None:
    network = computed_network(MIXTURE, "Q4_K_M")
    weights = sum(tensor.bytes for tensor in network.tensors)
    found = fit(network, Load(), machine(64))
    assert found.memory is not None and found.memory.ram.value > weights > 15 * GB
    assert any("128 experts" in reason for reason in found.reasons)


def test_words_name_what_helps() -> None:
    long = fit(Q4, Load(context=131072), machine(20))
    assert long.verdict == "no"
    assert any("KV cache is" in warning for warning in long.warnings)
    assert any("missing" in warning for warning in long.warnings)
    beyond = fit(Q4, Load(context=200_000), machine(100))
    assert any("trained" in warning for warning in beyond.warnings)


@settings(deadline=None)
@given(st.floats(3, 40), st.sampled_from([0.0, 4.0, 8.0, 24.0]), st.sampled_from([1, 4]))
def test_the_largest_context_fits_and_more_does_not(ram: float, card: float, slots: int) -> None:
    profile = machine(ram, *([card] if card else []))
    load = Load(slots=slots)
    found = largest_context(Q4, load, profile)
    asked = fit(Q4, load, profile).verdict
    if found is None:
        assert fit(Q4, replace(load, context=1), profile).verdict == "no"
        return
    assert 0 < found <= 131072
    verdict = fit(Q4, replace(load, context=found), profile).verdict
    assert verdict == "gpu" if asked == "gpu" else verdict != "no"
    if found < 131072:
        more = fit(Q4, replace(load, context=found + 1), profile).verdict
        assert more != "gpu" if asked == "gpu" else more == "no"


@pytest.mark.parametrize("shape", [EIGHT, MIXTURE])
def test_more_memory_never_means_fewer_bits(shape: Architecture) -> None:
    found = [best_quantisation(shape, Load(), machine(ram)) for ram in range(2, 80, 2)]
    sizes = [
        0 if one is None else sum(t.bytes for t in computed_network(shape, one).tensors)
        for one in found
    ]
    assert sizes == sorted(sizes)
    assert found[0] is None and found[-1] == "F16"


def test_the_best_quantisation_stays_on_the_card_when_one_does() -> None:
    best = best_quantisation(EIGHT, Load(), machine(64, 8))
    assert best is not None and best not in {"F16", "Q8_0"}
    assert fit(computed_network(EIGHT, best), Load(), machine(64, 8)).verdict == "gpu"


def test_a_file_of_any_family_has_a_best_quantisation() -> None:
    unheard = replace(Q4, architecture=replace(EIGHT, name="unheard-of"), from_file=True)
    assert best_quantisation(unheard, Load(), machine(64)) == "F16"
    assert best_quantisation(unheard, Load(), machine(2)) is None


def test_this_machine_is_asked_with_what_its_ledger_knows() -> None:
    here, elsewhere = replace(machine(16), name="this"), machine(16)
    plain = memory(Q4, Load())
    assert fit(Q4, Load(), here).memory == plain, "nothing was measured yet"
    lines = [
        Measurement("memory_ram", 1.5 * plain.ram.value, "embedded-cpu", "llama", f"m{number}",
                    load=Load(), formula=plain.ram)
        for number in range(12)
    ]  # fmt: skip
    record(*lines)
    found, other = fit(Q4, Load(), here).memory, fit(Q4, Load(), elsewhere).memory
    assert found is not None and other == plain
    assert 1.3 * plain.ram.value < found.ram.value < 1.5 * plain.ram.value
    assert "corrected by 12 measurements" in found.ram.basis


def test_a_family_without_a_known_layout_has_no_best_quantisation() -> None:
    assert best_quantisation(replace(EIGHT, name="unheard-of"), Load(), machine(64)) is None
