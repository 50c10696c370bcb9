"""The starter's network: a Llama as Transformers defines it, so that every tool can read it.

Sizes were measured on 2 cores for the lowest validation loss in three minutes (docs/starter.md).
Widths are multiples of 256, which llama.cpp's K-quants need.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.pretrain._tokenizer import BEGIN, END, PAD, SPECIAL, TURN_END

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import LlamaForCausalLM

WIDTH, HEADS, KEY_VALUE_HEADS, INNER = 256, 4, 2, 768


def new_model(
    vocabulary: int,
    depth: int,
    context: int,
    *,
    width: int = WIDTH,
    heads: int = HEADS,
    key_value_heads: int = KEY_VALUE_HEADS,
    inner: int = INNER,
) -> LlamaForCausalLM:
    """Random fp32 weights from PyTorch's seed; layers that write to the residual begin small."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
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
    from torch.nn.functional import cross_entropy

    return cross_entropy(_logits(model, rows, precision), rows[:, 1:].flatten())


def examined(model: LlamaForCausalLM, rows: Tensor, precision: str) -> tuple[float, int]:
    """The same loss, and of how many tokens the likeliest was the right one."""
    import torch
    from torch.nn.functional import cross_entropy

    with torch.no_grad():
        logits, wanted = _logits(model, rows, precision), rows[:, 1:].flatten()
        return float(cross_entropy(logits, wanted)), int((logits.argmax(1) == wanted).sum())


def _logits(model: LlamaForCausalLM, rows: Tensor, precision: str) -> Tensor:
    import torch

    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        logits: Tensor = model(rows[:, :-1]).logits
    return logits.flatten(0, 1).float()


def save_model(model: LlamaForCausalLM, folder: Path) -> None:
    """Weights and configs as a Hugging Face folder; generation ends with a turn or a text."""
    model.config.use_cache = True
    model.generation_config.eos_token_id = [SPECIAL.index(END), SPECIAL.index(TURN_END)]
    model.generation_config.pad_token_id = SPECIAL.index(PAD)
    model.save_pretrained(folder)
