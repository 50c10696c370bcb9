"""Machines by name and by free words; a user's own; what is no machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import FitError
from workbench.fit import Profile, ProfileGpu
from workbench.hardware import Gpu, memory
from workbench.machines import PROFILES, find_profile, profiles, save_profile, this_machine
from workbench.machines._profiles import _CARDS, _CHIPS, _known_gpu
from workbench.settings import home

GIB = 2**30
OWN = Profile("my-box", "My box", 48 * GIB, (ProfileGpu("x", 8 * GIB, 3e11, 2e13),), cores=8)


@pytest.mark.parametrize(
    ("words", "cards", "size", "main"),
    [
        ("gpu-24gb", 1, 24, 64),
        ("24 GB GPU", 1, 24, 64),
        ("a 24gb gpu", 1, 24, 64),
        ("24 GB of VRAM", 1, 24, 64),
        ("two 24 GB GPUs", 2, 24, 64),
        ("2x24GB", 2, 24, 64),
        ("2 x 24 GB", 2, 24, 64),
        ("2 gpus of 24 GB", 2, 24, 64),
        ("4x80GB", 4, 80, 512),
        ("RTX 4090", 1, 24, 48),
        ("NVIDIA GeForce RTX 4090", 1, 24, 48),
        ("rtx4090", 1, 24, 48),
        ("4090", 1, 24, 48),
        ("two RTX 3090", 2, 24, 96),
        ("dual 3090s", 2, 24, 96),
        ("RTX 4090 with 128 GB RAM", 1, 24, 128),
        ("24 GB GPU and 128 GB RAM", 1, 24, 128),
        ("128 GB RAM with a 24 GB GPU", 1, 24, 128),
        ("128GB of main memory and 2x24GB", 2, 24, 128),
        ("A100 40GB", 1, 40, 80),
        ("A100", 1, 80, 160),
        ("H200", 1, 141, 282),
        ("RX 7900 XTX", 1, 24, 48),
        ("16 GB laptop", 0, 0, 16),
        ("laptop with 16 GB", 0, 0, 16),
        ("12GB notebook", 0, 0, 12),
        ("64 GB server", 0, 0, 64),
        ("32 GB RAM", 0, 0, 32),
    ],
)
def test_words_that_people_use(words: str, cards: int, size: int, main: int) -> None:
    found = find_profile(words)
    assert [gpu.memory for gpu in found.gpus] == [size * GIB] * cards
    assert 0.8 * main * GIB <= found.memory < main * GIB
    assert found.source and not found.shared


@pytest.mark.parametrize(
    ("words", "chip", "main"),
    [
        ("M2 Pro 32 GB", "Apple M2 Pro", 32),
        ("MacBook Pro M3 Max 64GB", "Apple M3 Max", 64),
        ("m1", "Apple M1", 8),
        ("mac-16gb", "Apple M2", 16),
    ],
)
def test_apples_share_their_memory(words: str, chip: str, main: int) -> None:
    found = find_profile(words)
    assert found.shared and [gpu.name for gpu in found.gpus] == [chip]
    assert found.gpus[0].memory < main * GIB and found.memory < main * GIB
    assert found.bandwidth == found.gpus[0].bandwidth


@pytest.mark.parametrize(
    "words",
    [
        "", "   ", "two of them", "RTX 4091", "banana", "RTX 4090 banana", "-5 GB gpu", "gpu",
        "NaN GB gpu", "1e9 GB gpu", "0 GB gpu", "99999999 GB gpu", "0x24GB", "99x24GB", "inf",
        "gpu-24gb; rm -rf", "24 GB", "8 GB 16 GB laptop", "two laptops 16 GB", "M2 Pro RTX 4090",
        "two M2 Ultra", "\x00", "💥" * 500, "24 GB GPU " * 50, "../../etc/passwd", "²x24GB",
    ],
)  # fmt: skip
def test_what_is_no_machine_is_refused_with_advice(words: str) -> None:
    with pytest.raises(FitError, match="24 GB GPU") as caught:
        find_profile(words)
    assert len(str(caught.value)) < 400


def test_a_wrong_name_tells_near_ones() -> None:
    with pytest.raises(FitError, match="laptop-16gb"):
        find_profile("laptpo-16gb")


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(words: str) -> None:
    try:
        found = find_profile(words)
    except FitError:
        return
    assert found.memory > 0


def test_named_machines_can_be_and_are_found_by_their_names() -> None:
    assert {"laptop-8gb", "gpu-24gb", "gpu-2x24gb", "gpu-141gb", "mac-16gb"} <= set(PROFILES)
    for name, profile in PROFILES.items():
        assert find_profile(name) == find_profile(profile.title) == profile
        assert profile.name == name and profile.source
        assert GIB < profile.memory < 2**40 and profile.bandwidth and profile.cores
        for gpu in profile.gpus:
            assert gpu.bandwidth and gpu.compute and gpu.compute > gpu.bandwidth
    for name in [*_CARDS, *_CHIPS]:
        found = find_profile(name)
        assert found.gpus[0].name.endswith(name)
        assert find_profile(found.name) == found


def test_this_machine_has_the_memory_that_is_free() -> None:
    here = find_profile("this")
    assert here.name == "this" and here.title == this_machine().title
    assert 0 < here.memory <= memory()[0]
    assert here.bandwidth is None and here.source == "not calibrated yet"


def test_cards_of_this_machine_get_their_published_rates() -> None:
    known = _known_gpu(Gpu("NVIDIA GeForce RTX 4070 Ti SUPER", "nvidia", 16 * GIB, None))
    assert known.bandwidth == 672e9 and known.memory == 16 * GIB
    assert _known_gpu(Gpu("Apple M2 Pro", "apple", 30 * GIB, None, True)).memory == 20 * GIB
    strange = _known_gpu(Gpu("Something 9", "amd", None, None))
    assert strange.bandwidth is None and strange.compute is None and strange.memory == 0


# A user's own


def test_an_own_machine_is_kept_and_found() -> None:
    save_profile(OWN)
    save_profile(replace(OWN, name="gpu-24gb", source="I measured it"))
    assert profiles()["my-box"] == replace(OWN, source="the user")
    assert find_profile("My Box").memory == OWN.memory
    assert find_profile("24 GB GPU").source == "I measured it"
    save_profile(replace(OWN, memory=GIB))
    assert find_profile("my-box").memory == GIB
    assert [path.name for path in home().iterdir()] == ["profiles.json"]


@pytest.mark.parametrize(
    "rubbish",
    [
        {"memory": 0}, {"memory": -1}, {"memory": float("nan")}, {"memory": 1e300},
        {"memory": None}, {"name": ""}, {"name": "this"}, {"name": "../x"}, {"name": "x" * 65},
        {"cores": -4}, {"bandwidth": float("inf")}, {"gpus": (ProfileGpu("x", -1),)},
        {"gpus": (ProfileGpu("x", 1 << 30, -1.0),)}, {"gpus": (ProfileGpu("x", 1 << 30),) * 65},
    ],
)  # fmt: skip
def test_rubbish_is_not_kept(rubbish: dict[str, Any]) -> None:
    with pytest.raises(FitError):
        save_profile(replace(OWN, **rubbish))
    assert not (home() / "profiles.json").exists()


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", "{", "\x00\xff", '{"a": 1}', '{"a": {"memory": "8"}}',
        '{"a": {"memory": NaN}}', '{"a": {"memory": 1e999}}', '{"a": {"memory": true}}',
        '{"a": {"memory": 8000000000, "evil": 1}}', '{"this": {"memory": 8000000000}}',
        '{"a": {"memory": 8000000000, "gpus": 3}}', '{"a": {"memory": 8000000000, "gpus": [3]}}',
        "[" * 100_000, " " * (2 << 20),
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_with_its_name(text: str) -> None:
    Path(home() / "profiles.json").write_text(text)
    with pytest.raises(FitError):
        find_profile("gpu-24gb")


def test_titles_are_plain_text(tmp_path: Path) -> None:
    facts = {"a": {"memory": 8 * GIB, "title": "\x1b[31mred\n<script>" + "x" * 9999}}
    (home() / "profiles.json").write_text(json.dumps(facts))
    found = find_profile("a")
    assert "\x1b" not in found.title and "\n" not in found.title and len(found.title) <= 300
