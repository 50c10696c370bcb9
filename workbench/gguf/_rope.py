"""Rotary positions: the layout of query and key rows, and how the angles are stretched.

Sources: RoFormer (arXiv 2104.09864); Transformers' `modeling_rope_utils` for what each
`rope_type` means; llama.cpp reads stretched angles from `rope_freqs` (Llama 3) or
`rope_factors_long/short` (Phi-3), and linear and YaRN scaling from metadata.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from gguf import GGUFWriter, RopeScalingType

from workbench.errors import GGUFError
from workbench.gguf._checkpoint import Config, Floats, Lazy

_log = logging.getLogger(__name__)


def interleave(rows: Floats, heads: int) -> Floats:
    """Rows of halves (Transformers) as rows of pairs (llama.cpp's `llama`), for each head.

    Transformers rotates feature i with feature i + d/2; llama.cpp rotates 2i with 2i + 1.
    """
    if rows.shape[0] % (2 * heads):
        raise GGUFError(f"{rows.shape[0]} rows cannot be divided among {heads} heads.")
    split = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return split.swapaxes(1, 2).reshape(rows.shape)


def rope_of(config: Config, kind: str = "full_attention") -> dict[str, Any]:
    """The rope settings in one form: Transformers 5's `rope_parameters` or the older keys."""
    values = config.get("rope_parameters")
    if isinstance(values, Mapping):
        nested = values.get(kind)
        found = dict(nested if isinstance(nested, Mapping) else values)
    else:
        scaling = config.get("rope_scaling")
        found = dict(scaling) if isinstance(scaling, Mapping) else {}
    found.setdefault("rope_theta", config.get("rope_theta"))
    found["rope_type"] = found.get("rope_type") or found.get("type") or "default"
    return found


def add_rope(
    writer: GGUFWriter, config: Config, head_dim: int, *, default_theta: float = 1e4
) -> dict[str, Lazy]:
    """Write the rope metadata; the extra tensors that the scaling needs."""
    rope = Config(rope_of(config), config.source)
    theta = rope.number("rope_theta", default=default_theta)
    share = rope.number(
        "partial_rotary_factor", default=config.number("partial_rotary_factor", default=1.0)
    )
    dimensions = int(head_dim * share)
    writer.add_rope_dimension_count(dimensions)
    writer.add_rope_freq_base(theta)
    kind = rope["rope_type"]
    if kind == "linear":
        _add_scaling(writer, "linear", rope.number("factor"))
    elif kind == "yarn":
        _add_yarn(writer, rope, config)
    elif kind == "llama3":
        factors = llama3_factors(rope, dimensions, theta)
        return {"rope_freqs.weight": _constant(factors)}
    elif kind in {"longrope", "su"}:
        return _longrope(writer, rope, config, dimensions)
    elif kind == "dynamic":
        _log.warning("Dynamic rope scaling is left out: right up to the trained context only.")
    elif kind != "default":
        raise GGUFError(f"{config.source}: rope_type {kind!r} is not supported.")
    return {}


def _constant(values: Floats) -> Lazy:
    return Lazy(values.shape, lambda first, last: values[first:last])


def _add_scaling(writer: GGUFWriter, kind: str, factor: float) -> None:
    writer.add_rope_scaling_type(RopeScalingType(kind))
    writer.add_rope_scaling_factor(factor)


def _add_yarn(writer: GGUFWriter, rope: Config, config: Config) -> None:
    trained = rope.integer(
        "original_max_position_embeddings", default=config.integer("max_position_embeddings")
    )
    factor = rope.number("factor")
    _add_scaling(writer, "yarn", factor)
    writer.add_rope_scaling_orig_ctx_len(trained)
    for key in ("beta_fast", "beta_slow"):
        if rope.get(key) is not None:
            writer.add_float32(f"{writer.arch}.rope.scaling.yarn_{key}", rope.number(key))
    if rope.get("attention_factor") is not None:
        usual = 0.1 * math.log(factor) + 1  # llama.cpp multiplies by this by itself
        writer.add_rope_scaling_attn_factors(rope.number("attention_factor") / usual)


def llama3_factors(rope: Config, dimensions: int, theta: float) -> Floats:
    """Llama 3.1's divisor of each frequency: 1 for short waves, `factor` for long ones."""
    factor = rope.number("factor", default=8.0)
    low = rope.number("low_freq_factor", default=1.0)
    high = rope.number("high_freq_factor", default=4.0)
    trained = rope.number("original_max_position_embeddings", default=8192)
    if not (factor > 0 and high > low > 0 and trained > 0 and theta > 0):
        raise GGUFError("The llama3 rope scaling has factors that make no sense.")
    frequency = theta ** (-np.arange(0, dimensions, 2, dtype=np.float64) / dimensions)
    waves = trained * frequency / (2 * math.pi)  # how many waves fit in the trained context
    blend = np.clip((waves - low) / (high - low), 0, 1)
    return (1 / ((1 - blend) / factor + blend)).astype(np.float32)


def _longrope(writer: GGUFWriter, rope: Config, config: Config, dimensions: int) -> dict[str, Lazy]:
    """Phi-3's own divisors for long and short contexts, and the attention's scale."""
    longest = config.integer("max_position_embeddings")
    trained = config.integer(
        "original_max_position_embeddings",
        default=rope.integer("original_max_position_embeddings", default=longest),
    )
    writer.add_rope_scaling_orig_ctx_len(trained)
    ratio = rope.number("factor", default=longest / trained)
    usual = math.sqrt(1 + math.log(ratio) / math.log(trained)) if ratio > 1 else 1.0
    writer.add_rope_scaling_attn_factors(rope.number("attention_factor", default=usual))
    tensors = {}
    for kind in ("long", "short"):
        factors = np.asarray(rope.get(f"{kind}_factor"), dtype=np.float32)
        if factors.shape != (dimensions // 2,):
            raise GGUFError(f"{config.source}: {kind}_factor needs {dimensions // 2} numbers.")
        tensors[f"rope_factors_{kind}.weight"] = _constant(factors)
    return tensors
