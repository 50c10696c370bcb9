"""A folder as Hugging Face publishes models: config.json and safetensors files.

The shape is told for the families below whose `config.json` states all of it (the facts' names
are transformers'); for others it is missing rather than guessed. Weights are counted from the
headers of the safetensors files (format: 8 bytes of length, JSON, numbers).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from workbench.cards._card import Card
from workbench.cards._describe import categories_of, count_of
from workbench.cards._facts import architecture_of
from workbench.errors import GGUFError, InvalidRequest
from workbench.fit import Architecture

_LARGEST_JSON = 32 * 2**20
_CACHED = re.compile(r"models--([\w.-]+?)--([\w.-]+)")
# transformers' model_type → llama.cpp's word, and whether the output matrix is tied by default
_FAMILIES: Mapping[str, tuple[str, bool]] = {
    "llama": ("llama", False),
    "mistral": ("llama", False),
    "mixtral": ("llama", False),
    "qwen2": ("qwen2", False),
    "qwen2_moe": ("qwen2moe", False),
    "qwen3": ("qwen3", False),
    "qwen3_moe": ("qwen3moe", False),
    "gemma": ("gemma", True),
    "gemma2": ("gemma2", True),
    "gemma3_text": ("gemma3", True),
    "phi3": ("phi3", False),
    "granite": ("granite", False),
    "starcoder2": ("starcoder2", True),
    "olmo2": ("olmo2", False),
    "bert": ("bert", True),
}
_WINDOWED = {"gemma2": "SF", "gemma3_text": "SSSSSF"}
_TYPES = {"BF16": "BF16", "F16": "F16", "F32": "F32", "F8_E4M3": "F8"}


def folder_card(folder: Path, config_file: Path, *files: Path) -> Card:
    """The card of a folder with these weights. Raises GGUFError or OSError."""
    config = _object(config_file)
    numbers: Counter[str] = Counter()
    for file in files:
        numbers += _counted(file)
    cached = next((m for part in reversed(folder.parts) if (m := _CACHED.fullmatch(part))), None)
    name = cached[2] if cached else folder.name
    architecture, note = _shape(config)
    kind = str(config.get("model_type", ""))[:60]
    embeds = kind in {"bert"} or (folder / "modules.json").is_file()
    able = ("embedding",) if embeds else ("completion",)
    facts: dict[str, Any] = {
        "parameters": numbers.total() or None,
        "context": count_of(config.get("max_position_embeddings")),
        "architecture": architecture,
        "quantisation": _TYPES.get(numbers.most_common(1)[0][0]) if numbers else None,
        "hf_repo": f"{cached[1]}/{cached[2]}" if cached else None,
    }
    notes = ("A Hugging Face folder: make a GGUF of it to run it here.", *filter(None, [note]))
    return Card(
        name=name,
        family=kind,
        categories=categories_of((name, kind), able),
        capabilities=able,
        **facts,
        download=sum(file.stat().st_size for file in files),
        sources={fact: "config.json" for fact, value in facts.items() if value}
        | ({"parameters": "the weights' headers"} if numbers else {}),
        origins=("disk",),
        path=folder,
        notes=notes,
    )


def _shape(config: Mapping[str, Any]) -> tuple[Architecture | None, str | None]:
    """The architecture that a config states; otherwise why not."""
    kind = str(config.get("model_type", "nothing"))[:60]
    if kind not in _FAMILIES:
        return None, f"The memory that a model of the type {kind!r} takes is told by its GGUF only."
    name, tied = _FAMILIES[kind]
    facts = {
        "name": name,
        "layers": config.get("num_hidden_layers"),
        "width": config.get("hidden_size"),
        "vocabulary": config.get("vocab_size"),
        "heads": config.get("num_attention_heads"),
        "kv_heads": config.get("num_key_value_heads"),
        "head_size": config.get("head_dim"),
        "inner": config.get("intermediate_size"),
        "tied": config.get("tie_word_embeddings", tied),
        "experts": config.get("num_local_experts", config.get("num_experts")),
        "experts_used": config.get("num_experts_per_tok"),
        "expert_inner": config.get("moe_intermediate_size"),
        "shared_inner": config.get("shared_expert_intermediate_size"),
        "causal": kind != "bert",
    }
    context = count_of(config.get("max_position_embeddings"))
    if kind in _WINDOWED and config.get("sliding_window"):
        facts |= {"pattern": _WINDOWED[kind], "window": config["sliding_window"]}
    if kind == "mixtral":
        facts["expert_inner"] = facts["inner"]
    try:
        return architecture_of(facts, "config.json", context), None
    except (InvalidRequest, TypeError, ValueError, ArithmeticError) as error:
        return None, f"Its memory cannot be told: {error}"


def _object(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _LARGEST_JSON:
        raise GGUFError(f"{path} is too large for a configuration.")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise GGUFError(f"{path} is not a JSON object. Get the model again.")
    return value


def _counted(path: Path) -> Counter[str]:
    """Numbers of each type in a safetensors file, from its header."""
    damaged = GGUFError(f"{path} is not a whole safetensors file. Get the model again.")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_LARGEST_JSON, path.stat().st_size - 8):
            raise damaged
        raw = file.read(length)
    found: Counter[str] = Counter()
    end = 0
    try:
        for name, info in json.loads(raw).items():
            if name != "__metadata__":
                sizes = [int(size) for size in info["shape"]]
                if len(sizes) > 8 or any(not 0 <= size < 1 << 40 for size in sizes):
                    raise damaged
                found[str(info["dtype"])[:20]] += prod(sizes)
                end = max(end, int(info["data_offsets"][1]))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        raise damaged from None
    if 8 + length + end > path.stat().st_size:
        raise damaged
    return found
