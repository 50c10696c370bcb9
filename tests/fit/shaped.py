"""Small models with real proportions, written and measured with the benchmarks' own tools."""

from __future__ import annotations

import sys
from pathlib import Path

from workbench.fit import Architecture

# for these imports alone: left on the path, its files would hide folders of tests from jobs
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from fit_memory import measure
from shaped_models import architecture, write_network

del sys.path[0]

__all__ = ["architecture", "measure", "moe", "plain", "windowed", "write_network"]


def plain() -> tuple[Architecture, str]:
    """Grouped heads, tied embeddings, a vocabulary of 49,152: 80 million numbers."""
    shape = architecture(
        "llama", 10, 640, heads=10, kv=5, inner=1728, vocabulary=49152, tied=True, context=8192
    )
    return shape, "bpe"


def windowed() -> tuple[Architecture, str]:
    """Gemma 3's proportions: windows in five of six layers, a large vocabulary."""
    shape = architecture(
        "gemma3", 6, 512, heads=4, kv=1, head=256, inner=2048, vocabulary=131072, tied=True,
        window=(512, 6), context=8192,
    )  # fmt: skip
    return shape, "spm"


def moe() -> tuple[Architecture, str]:
    """Sixteen experts of which four are used, an output matrix of its own."""
    shape = architecture(
        "qwen3moe", 4, 768, heads=12, kv=4, head=64, inner=2048, vocabulary=32000, experts=16,
        experts_used=4, expert_inner=512, context=8192,
    )  # fmt: skip
    return shape, "bpe"
