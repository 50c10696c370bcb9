"""Turn a PEFT folder (a LoRA adapter) into a GGUF adapter for a converted base model.

A LoRA adds B·A·alpha/rank to a matrix. llama.cpp divides one alpha by each matrix's own rank,
so the other scale of rank-stabilised LoRA (alpha / sqrt(rank)) is multiplied into B.
Refused: DoRA, trained biases, whole trained modules, an alpha for each module, LoRA on
embeddings; merging such an adapter into its model always works.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from workbench.errors import GGUFError
from workbench.gguf._api import Progress
from workbench.gguf._checkpoint import Config, Lazy, read_json, tensors_of
from workbench.gguf._convert import DTYPES, name_map, new_file, plain_name, write_tensors
from workbench.gguf._families import FAMILIES, Family, family_of
from workbench.gguf._reader import read_header

_TENSOR = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])(\.\w+)?\.weight")


def convert_adapter(
    folder: Path, out: Path, base: Path, dtype: str, progress: Progress | None
) -> Path:
    """See `_api.convert_adapter`."""
    settings = Config(read_json(folder / "adapter_config.json"), "adapter_config.json")
    _check_kind(settings)
    config, family = _base(base)
    tensors = _pairs(tensors_of(folder, prefix="adapter_model"), settings, config, family)
    with new_file(out, family.architecture, "adapter", dtype, folder) as writer:
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", settings.number("lora_alpha"))
        write_tensors(writer, tensors, DTYPES[dtype], progress)
    return out


def _check_kind(settings: Config) -> None:
    if settings.get("peft_type") != "LORA":
        raise GGUFError(f"An adapter of the kind {settings.get('peft_type')!r} is not supported.")
    if not 0 < settings.number("lora_alpha") < 1e9:
        raise GGUFError("adapter_config.json: lora_alpha must be a positive number.")
    for key, words in {
        "use_dora": "DoRA",
        "modules_to_save": "whole trained modules (modules_to_save)",
        "trainable_token_indices": "trained tokens",
        "alpha_pattern": "an alpha for each module (alpha_pattern)",
    }.items():
        if settings.get(key):
            raise GGUFError(f"An adapter with {words} is not supported. Merge it into its model.")
    if settings.get("bias", "none") != "none":
        raise GGUFError("An adapter with trained biases is not supported. Merge it into its model.")


def _base(base: Path) -> tuple[Config, Family]:
    """The base's configuration (what is needed of it) and family."""
    if base.is_dir():
        config = Config(read_json(base / "config.json"), str(base / "config.json"))
        return config, family_of(config)
    header = read_header(base)
    family = FAMILIES.get({"gemma3": "gemma3_text"}.get(header.architecture, header.architecture))
    if family is None:
        raise GGUFError(f"Adapters for the architecture {header.architecture!r} cannot be made.")
    heads = header.get("attention.head_count")
    values = {
        "num_hidden_layers": header.get("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": header.get("attention.head_count_kv", heads),
    }
    return Config(values, str(base)), family


def _pairs(
    tensors: Mapping[str, Lazy], settings: Config, config: Config, family: Family
) -> dict[str, Lazy]:
    """`<tensor>.lora_a` and `.lora_b` for each adapted matrix; both must be there."""
    names = name_map(family.architecture, config.integer("num_hidden_layers", "n_layer"))
    found: dict[str, dict[str, Lazy]] = {}
    modules: dict[str, str] = {}
    for original, tensor in tensors.items():
        match = _TENSOR.fullmatch(original)
        if not match:
            raise GGUFError(f"The adapter's tensor {original!r} is of a kind not supported.")
        module = plain_name(match["module"], family)
        target = names.get_name(f"{module}.weight", try_suffixes=(".weight",))
        if target is None:
            raise GGUFError(f"{original!r} has no place in a {family.architecture}.")
        found.setdefault(target, {})[match["side"]] = tensor
        modules[target] = match["module"]
    if not found:
        raise GGUFError("The adapter holds no LoRA matrices.")
    result: dict[str, Lazy] = {}
    for target, sides in found.items():
        a, b = sides.get("A"), sides.get("B")
        if a is None or b is None or len(a.shape) != 2 or b.shape[1:] != a.shape[:1]:
            raise GGUFError(f"The adapter's matrices A and B for {target} do not fit together.")
        module = modules[target]
        result[f"{target}.lora_a"] = a
        result[f"{target}.lora_b"] = _ready(b, module, a.shape[0], settings, config, family)
    return result


def _ready(
    b: Lazy, module: str, rank: int, settings: Config, config: Config, family: Family
) -> Lazy:
    """B with the base's order of rows and PEFT's scale."""
    if family.architecture != "gpt2":  # its LoRA is laid out like the others' already
        b = family.change(f"{plain_name(module, family)}.weight", b, config)
    if not settings.get("use_rslora"):
        return b
    return b.map(lambda values: values * np.float32(math.sqrt(rank)))
