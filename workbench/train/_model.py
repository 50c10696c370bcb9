"""The starter's network: a Llama as Transformers defines it, so that every tool can read it.

Sizes were measured on 2 cores for the lowest validation loss in three minutes (docs/starter.md).
Widths are multiples of 256, which llama.cpp's K-quants need.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.train._tokenizer import BEGIN, END, PAD, SPECIAL, TURN_END

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import LlamaForCausalLM

WIDTH, HEADS, KEY_VALUE_HEADS, INNER = 256, 4, 2, 768


def new_model(vocabulary: int, depth: int, context: int) -> LlamaForCausalLM:
    """Random fp32 weights from PyTorch's seed; layers that write to the residual begin small."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=depth,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_VALUE_HEADS,
        max_position_embeddings=context,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        use_cache=False,
        bos_token_id=SPECIAL.index(BEGIN),
        eos_token_id=SPECIAL.index(END),
        pad_token_id=SPECIAL.index(PAD),
    )
    model = LlamaForCausalLM(config).float()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.mul_(1 / math.sqrt(2 * depth))  # as in GPT-2: the sum keeps its size
    return model


def next_token_loss(model: LlamaForCausalLM, rows: Tensor, precision: str) -> Tensor:
    """Mean cross-entropy in nats of `rows` (batch, context + 1), logits taken as fp32."""
    import torch
    from torch.nn.functional import cross_entropy

    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        logits = model(rows[:, :-1]).logits
    return cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())


def save_model(model: LlamaForCausalLM, folder: Path) -> None:
    """Weights and configs as a Hugging Face folder; generation ends with a turn or a text."""
    model.config.use_cache = True
    model.generation_config.eos_token_id = [SPECIAL.index(END), SPECIAL.index(TURN_END)]
    model.generation_config.pad_token_id = SPECIAL.index(PAD)
    model.save_pretrained(folder)


@contextmanager
def steady_heap() -> Iterator[None]:
    """Keep freed memory in the process while a model trains (glibc only).

    A step frees and takes the same 50 MB of logits; given back to the system each time, they
    cost a page fault per 4 kB: a third of the step at 4,096 tokens.
    """
    import ctypes

    try:
        libc = ctypes.CDLL(None)
        tune, trim = libc.mallopt, libc.malloc_trim
    except (AttributeError, OSError, TypeError):  # no glibc: macOS, Windows, musl
        yield
        return
    mmap_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h
    tune(mmap_threshold, 1 << 30)
    tune(trim_threshold, (1 << 31) - 1)
    try:
        yield
    finally:
        tune(mmap_threshold, 128 << 10)
        tune(trim_threshold, 128 << 10)
        trim(0)
