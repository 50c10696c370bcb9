"""The package's cards, computed again from what they say themselves."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest

from workbench.cards import Card, shipped
from workbench.cards._shipped import _SHIPPED as SHIPPED
from workbench.errors import FitError
from workbench.fit import Load, computed_network, kv_cache_bytes, parameter_count
from workbench.gguf import QUANTISATIONS

DOCUMENT = json.loads(SHIPPED.read_text(encoding="utf-8"))
ENTRIES: list[dict[str, Any]] = DOCUMENT["cards"]
NOTICE = (Path(__file__).parents[2] / "NOTICE").read_text(encoding="utf-8")
CARDS = {card.name: card for card in shipped()}


def computed_bytes(card: Card, mix: str) -> int | None:
    """The size of a file of this card; None when its layout is not known."""
    assert card.architecture
    try:
        network = computed_network(card.architecture, mix)
    except FitError:
        return None
    return sum(tensor.bytes for tensor in network.tensors) + network.tokenizer_bytes


# what the cards say


def test_all_cards_are_there() -> None:
    assert len(CARDS) == len(ENTRIES) == 335
    assert sum(card.architecture is not None for card in CARDS.values()) >= 332
    assert all(card.origins == ("shipped",) for card in CARDS.values())


def test_a_card_by_its_facts() -> None:
    card = CARDS["llama3.1:8b"]
    assert (card.family, card.publisher, card.released) == ("llama3.1", "Meta", "2024-07")
    assert (card.parameters, card.context) == (8_030_261_248, 131_072)
    assert (card.quantisation, card.download) == ("Q4_K_M", 4_920_753_328)
    assert card.architecture is not None
    assert card.architecture.kv_heads == (8,) * 32
    assert card.architecture.context == 131_072
    assert card.size_class == "medium"
    assert any(one.metric == "MMLU" and one.setting.startswith("5-shot") for one in card.scores)
    assert {"Q8_0", "F16", "Q2_K"} <= {variant.quantisation for variant in card.variants}


def test_unknown_facts_are_none() -> None:
    card = CARDS["gemma4:12b"]
    assert card.parameters is None and card.architecture is None and card.released is None
    assert not any(value is None for entry in ENTRIES for value in entry.values())


def test_every_fact_has_a_source() -> None:
    facts = {"architecture", "license", "parameters", "context", "scores", "download"}
    for name, card in CARDS.items():
        assert card.sources, name
        assert all(score.source for score in card.scores), name
        for fact in facts & set(card.sources):
            assert card.sources[fact], (name, fact)


def test_windows_follow_the_pattern() -> None:
    gemma = CARDS["gemma3:4b"].architecture
    assert gemma is not None
    assert gemma.windows[:7] == (1024, 1024, 1024, 1024, 1024, None, 1024)
    e2b = CARDS["gemma4:e2b"].architecture
    assert e2b is not None
    assert e2b.kv_heads == (1,) * 15 + (0,) * 20  # twenty layers borrow their keys
    assert e2b.key_size[4] == 512 and e2b.key_size[3] == 256
    deepseek = CARDS["deepseek-r1:671b"].architecture
    assert deepseek is not None
    assert (deepseek.kv_heads[0], deepseek.key_size[0]) == (1, 576)
    assert deepseek.extras["latent"] == 512  # values are a part of the keys
    qwen = CARDS["qwen3.5:4b"].architecture
    assert qwen is not None
    assert qwen.kv_heads[:4] == (0, 0, 0, 4)
    assert qwen.state_bytes == 24 * 4 * (3 * 8192 + 128 * 4096)


def test_file_is_data_that_can_be_reviewed() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    assert len(text.encode()) <= 1_000_000
    lines = [line for line in text.splitlines() if line.startswith('{"name"')]
    assert len(lines) == len(ENTRIES)
    assert len(set(DOCUMENT["sources"])) == len(DOCUMENT["sources"])


def test_notice_names_the_sources() -> None:
    assert "https://creativecommons.org/licenses/by/4.0/" in NOTICE
    named = {
        match
        for text in DOCUMENT["sources"]
        for match in re.findall(r"(?<![/\w.-])[\w.-]+/[\w.-]+(?=@)", text)
    }
    assert len(named) >= 15
    missing = sorted(name for name in named if name not in NOTICE)
    assert not missing


# what follows from them


def test_parameters_follow_from_the_architecture() -> None:
    """Equal, or within 0.1 % (1 % of a rounded count), or the card says what else is counted."""
    equal, near, explained, off = 0, 0, 0, []
    for entry in ENTRIES:
        card = CARDS[entry["name"]]
        published = entry.get("text_parameters") or card.parameters
        if card.architecture is None or published is None:
            continue
        if entry["parameters_are"] == "computed":  # nobody published one
            continue
        try:
            error = parameter_count(card.architecture) / published - 1
        except FitError:
            assert card.name == "deepseek-ocr:3b"  # its layout is not known
            continue
        bound = 1e-2 if entry["parameters_are"] == "rounded" else 1e-3
        equal += error == 0
        near += 0 < abs(error) <= bound
        explained += abs(error) > bound and "gap" in entry
        if abs(error) > bound and "gap" not in entry:
            off.append((card.name, f"{error:+.3%}"))
    print(f"parameters: {equal} equal, {near} near, {explained} explained")
    assert not off
    assert equal >= 155
    assert explained <= 20


def test_sizes_follow_from_the_architecture() -> None:
    """Against exact sizes of published files; those made with other rules are marked."""
    errors, off = [], []
    for entry in ENTRIES:
        card = CARDS[entry["name"]]
        if card.architecture is None or not card.quantisation or "weights" not in entry:
            continue
        size = computed_bytes(card, card.quantisation)
        assert size is not None, card.name
        error = size / entry["weights"] - 1
        errors.append(abs(error))
        if abs(error) > 0.01 and "size_gap" not in entry:
            off.append((card.name, f"{error:+.2%}"))
    within = sum(error < 1e-3 for error in errors) / len(errors)
    print(
        f"sizes: {len(errors)} files, median {statistics.median(errors):.4%}, {within:.0%} < 0.1 %"
    )
    assert not off
    assert len(errors) >= 245
    assert statistics.median(errors) <= 2e-4
    assert within >= 0.7


@pytest.mark.parametrize("mix", [*QUANTISATIONS, "Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "MXFP4"])
def test_sizes_of_other_quantisations(mix: str) -> None:
    """Published sizes have two digits, so half of them are within the rounding, 2 %."""
    errors = []
    for entry in ENTRIES:
        card = CARDS[entry["name"]]
        if card.architecture is None or "size_gap" in entry or "tower" in entry.get("gap", ""):
            continue
        for variant in card.variants:
            size = computed_bytes(card, mix) if variant.quantisation == mix else None
            if size and variant.bytes:
                errors.append(abs((size + entry.get("projector", 0)) / variant.bytes - 1))
    if mix not in {"F32", "MXFP4"}:  # hardly published
        assert len(errors) >= 15
        assert statistics.median(errors) <= 0.02
        assert statistics.quantiles(errors, n=20)[-1] <= 0.13


def test_cache_follows_from_the_architecture() -> None:
    checked = 0
    for entry in ENTRIES:
        if "cache_at_4096" not in entry:
            continue
        shape = CARDS[entry["name"]].architecture
        assert shape is not None
        layers = zip(shape.kv_heads, shape.key_size, shape.value_size, shape.windows, strict=True)
        cells = [
            (heads * (key if "latent" in shape.extras else key + value), min(window or 4096, 4096))
            for heads, key, value, window in layers
        ]
        assert sum(2 * numbers * tokens for numbers, tokens in cells) == entry["cache_at_4096"], (
            entry["name"]
        )
        checked += 1
    assert checked >= 255


def test_encoders_keep_no_cache() -> None:
    card = CARDS["bge-large:335m"]
    assert card.architecture is not None and not card.architecture.causal
    network = computed_network(card.architecture, "F16")
    assert kv_cache_bytes(network, Load(embedding=True)) == 0
