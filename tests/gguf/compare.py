"""Compare llama.cpp on a GGUF file with Transformers on the folder it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from engine import LlamaCpp
from hf_models import TOKENS


@dataclass(frozen=True)
class Agreement:
    """KL divergence in nats, share of prompts with the same best token, mean entropy."""

    kl: float
    mean_kl: float
    top1: float
    entropy: float


def prompts(lengths: Sequence[int] = (1, 2, 7, 30, 100), seed: int = 0) -> list[list[int]]:
    """Random token ids, without the special ones."""
    random = np.random.default_rng(seed)
    return [random.integers(300, TOKENS, length).tolist() for length in lengths]


def load_reference(folder: Path) -> Any:
    """The folder's model in Transformers, in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()


def reference_logprobs(model: Any, tokens: list[list[int]]) -> list[np.ndarray]:
    """Log-probabilities of the next token after each prompt."""
    import torch

    with torch.no_grad():
        logits = [model(torch.tensor([one])).logits[0, -1].double() for one in tokens]
    return [torch.log_softmax(one, -1).numpy() for one in logits]


def agreement(
    expected: list[np.ndarray], path: Path, tokens: list[list[int]], **options: Any
) -> Agreement:
    """How close llama.cpp's next-token distributions on `path` are to the expected ones."""
    kls, same, entropies = [], [], []
    with LlamaCpp(path, **options) as engine:
        for one, reference in zip(tokens, expected, strict=True):
            got = engine.logprobs(one, len(reference))
            got = got - np.logaddexp.reduce(got)
            probabilities = np.exp(reference)
            kls.append(float(np.sum(probabilities * (reference - got))))
            same.append(bool(reference.argmax() == got.argmax()))
            entropies.append(float(-np.sum(probabilities * reference)))
    return Agreement(max(kls), float(np.mean(kls)), float(np.mean(same)), float(np.mean(entropies)))
