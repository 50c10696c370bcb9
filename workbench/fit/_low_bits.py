"""Types of tensors in published mixes that we do not write: 2 and 3 bits, IQ and MXFP4.

Facts from llama.cpp's `llama_tensor_get_type`, as used with an importance matrix. Not modelled:
the exceptions for 80-layer models and for the Falcon architecture. Against published sizes the
K-mixes come within the two digits that are published; IQ mixes, which publishers vary, within
some percent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

_LAYER = re.compile(r"blk\.(\d+)\.")
_VALUES = re.compile(r"attn_(v|qkv|kv_b)\.weight")


MIXES: Mapping[str, Mapping[str, str]] = json.loads(
    (Path(__file__).parent / "data" / "mixes.json").read_text(encoding="utf-8")
)["mixes"]
_SMALL_BLOCKS = {"Q3_K": "Q4_0", "Q2_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}


def low_bit_types(
    types: Mapping[str, str], rows: Mapping[str, int], mix: str, layers: int, group: int
) -> dict[str, str]:
    """The types in `mix`, from those that llama.cpp gives the same tensors in Q4_0.

    `rows` are the tensors' row lengths; `group` is how many heads share keys and values.
    """
    rules = MIXES[mix]
    first = layers // (16 if mix == "Q3_K_M" else 8)
    found = dict(types)
    values = 0
    for name, kind in types.items():
        if kind != "Q4_0" and name not in {"output.weight", "token_embd.weight"}:
            continue  # norms, gates, and what models of eight experts keep in 8 bits
        chosen: str | None
        layer = int(match[1]) if (match := _LAYER.match(name)) else -1
        if kind != "Q4_0":
            chosen = rules.get("output", "Q6_K") if kind == "Q6_K" else kind
        elif name in {"token_embd.weight", "per_layer_token_embd.weight"}:
            chosen = rules.get("table")
        elif _VALUES.search(name):
            chosen = rules.get("shared" if group >= 4 or mix.startswith("Q3") else "values")
            if mix == "Q3_K_M" and values < 2:
                chosen = "Q5_K"
            values += 1
        elif "ffn_down" in name:
            chosen = (layer < first and rules.get("first")) or rules.get("down")
        elif "attn_output" in name:
            chosen = rules.get("attention")
        else:
            chosen = rules.get("keys") if re.search(r"attn_[qk]\.weight", name) else None
        found[name] = _fitting(chosen or rules["base"], rows[name])
    return found


def _fitting(kind: str, row: int) -> str:
    """`kind`, or one with blocks of 32 where 256 do not divide a row."""
    if row % 256 == 0 or kind in {"IQ4_NL", "Q8_0"}:
        return kind
    return _SMALL_BLOCKS.get(kind, "IQ4_NL") if row % 32 == 0 else "F16"
