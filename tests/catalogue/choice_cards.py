"""Hand-made cards and machines for the tests of recommendations and comparisons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workbench.cards import Card, Score, Variant
from workbench.fit import Architecture, Profile, ProfileGpu

GB = 10**9


def machine(gigabytes: float, *gpus: float) -> Profile:
    """A machine whose speed nobody knows."""
    cards = tuple(ProfileGpu("a card", int(size * GB)) for size in gpus)
    return Profile("test", f"a machine of {gigabytes:g} GB", int(gigabytes * GB), cards)


def llama(layers: int = 32, width: int = 4096, context: int = 32768) -> Architecture:
    """A Llama of 8 B parameters, or of other layers."""
    return Architecture(
        name="llama",
        layers=layers,
        width=width,
        vocabulary=128256,
        heads=width // 128,
        kv_heads=(8,) * layers,
        key_size=(128,) * layers,
        value_size=(128,) * layers,
        windows=(None,) * layers,
        inner=width * 7 // 2,
        tied=False,
        context=context,
    )


def score(metric: str, value: float, setting: str = "5-shot, harness", **more: Any) -> Score:
    """A published result."""
    return Score(metric, value, setting, more.pop("source", "a table"), **more)


def card(name: str, *scores: Score, **facts: Any) -> Card:
    """A card of an 8 B model for conversation; `facts` say what is different."""
    layers = facts.pop("layers", 32)
    standard = Card(
        name=name,
        family=name.split(":")[0],
        publisher="someone",
        categories=("general",),
        capabilities=("completion",),
        parameters=int(8.03 * GB * layers / 32),
        context=32768,
        license="Apache-2.0",
        released="2025-01",
        architecture=llama(layers),
        quantisation="Q4_K_M",
        variants=(
            Variant("Q8_0", f"{name}-q8_0", int(8.54 * GB * layers / 32), False),
            Variant("Q4_K_M", f"{name}-q4_K_M", int(4.92 * GB * layers / 32), False),
            Variant("Q2_K", f"{name}-q2_K", int(3.18 * GB * layers / 32), False),
        ),
        download=int(4.92 * GB * layers / 32),
        scores=scores,
        sources={"license": "the licence's file", "parameters": "the weights"},
        origins=("shipped",),
    )
    return replace(standard, **facts)
