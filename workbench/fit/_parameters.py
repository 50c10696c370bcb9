"""How many numbers a network of a known family has, tensor by tensor.

`_layout` says in words which tensors there are; here the words become shapes, layer by layer.
Equal layers share their shapes, so a network of 100 layers takes no longer than one of ten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, lru_cache
from math import prod

from workbench.errors import FitError
from workbench.fit._layout import Family, families, part
from workbench.fit._records import Architecture

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


def shapes(architecture: Architecture) -> Shapes:
    """Name and shape of every tensor; FitError when the family's layout is not known."""
    return _shapes(replace(architecture, context=None))


@lru_cache(maxsize=4096)
def _shapes(architecture: Architecture) -> Shapes:
    family = families().get(architecture.name)
    if family is None:
        raise FitError(
            f"The tensors of the family {architecture.name[:40]!r} are not known without a file. "
            "Give a GGUF file to have it priced."
        )
    try:
        return tuple(_all_shapes(architecture, family))
    except KeyError as error:
        raise FitError(
            f"The facts lack {error} of this family, so its tensors cannot be computed. "
            "Give a GGUF file to have it priced."
        ) from error


def _all_shapes(
    architecture: Architecture, family: Family
) -> Iterator[tuple[str, tuple[int, ...]]]:
    head = family.head
    if architecture.name == "gemma4" and "per_layer" in architecture.extras:
        head += "; " + part("per_layer_head")
    for name, shape in _fill(head, _sizes(architecture, 0)):
        if name != "output.weight" or not architecture.tied:
            yield name, shape
    layers: dict[tuple[str, tuple[int, ...]], list[tuple[str, tuple[int, ...]]]] = {}
    for layer in range(architecture.layers):
        layout = _layout(architecture, family, layer)
        key = (layout, _varying(architecture, layer))
        if key not in layers:
            layers[key] = _fill(layout, _sizes(architecture, layer))
        for name, shape in layers[key]:
            yield f"blk.{layer}.{name}", shape


def parameter_count(architecture: Architecture) -> int:
    """Numbers in all tensors; FitError when the family's layout is not known.

    A table of rotary factors is no parameter: it follows from the settings.
    """
    return sum(prod(shape) for name, shape in shapes(architecture) if name != "rope_freqs.weight")


def active_parameter_count(architecture: Architecture) -> int:
    """Numbers that one token passes: of a mixture's experts those that are used."""
    total = parameter_count(architecture)
    if not architecture.experts:
        return total
    routed = sum(prod(shape) for name, shape in shapes(architecture) if "_exps." in name)
    return total - routed + routed * architecture.experts_used // architecture.experts


def _layout(architecture: Architecture, family: Family, layer: int) -> str:
    """The words for one layer."""
    kind = architecture.kinds[layer : layer + 1] or ("F" if architecture.kv_heads[layer] else "R")
    if family.alone and kind == "E":
        return _feed_forward(architecture, family, layer)
    mixer = _mixer(architecture, family, layer, kind)
    return mixer if family.alone else f"{mixer}; {_feed_forward(architecture, family, layer)}"


def _mixer(architecture: Architecture, family: Family, layer: int, kind: str) -> str:
    """Attention, or what a recurrent layer has in its place."""
    extras = architecture.extras
    words = family.recurrent if family.recurrent and kind in "RMX" else family.attention
    more = [word for word in ("qkv_bias", "qk_norm") if word in extras]
    if architecture.name == "deepseek2":
        more.append("latent_query" if "q_rank" in extras else "query")
    if architecture.name == "falcon" and architecture.kv_heads[layer] > 1:
        more.append("second_norm")
    if architecture.name == "gemma4" and kind == "F" and "keys_are_values" in extras:
        words = words.replace("attn_v width,v; ", "")
    return "; ".join([words, *map(part, more)])


def _feed_forward(architecture: Architecture, family: Family, layer: int) -> str:
    extras = architecture.extras
    every, dense = extras.get("expert_every", 1), extras.get("dense_layers", 0)
    routed = bool(architecture.experts) and layer >= dense and layer % every == every - 1
    words = family.routed if routed else family.ffn
    if layer >= extras.get("wide_from", architecture.layers):
        words = words.replace("inner", "2inner")
    more = ["expert_bias"] if routed and "expert_bias" in extras else []
    more += ["latent_width"] if "latent_width" in extras else []
    more += ["per_layer"] if architecture.name == "gemma4" and "per_layer" in extras else []
    return "; ".join([words, *map(part, more)])


def _varying(architecture: Architecture, layer: int) -> tuple[int, ...]:
    """What of `_sizes` depends on the layer."""
    one = architecture
    return one.kv_heads[layer], one.key_size[layer], one.value_size[layer]


def _sizes(architecture: Architecture, layer: int) -> dict[str, int]:
    """The words of the layouts as numbers."""
    one = architecture
    kv_heads, head, value = _varying(one, layer)
    if not kv_heads:  # an encoder, or a layer that borrows keys and has matrices all the same
        kv_heads = one.extras.get("kv_heads", one.heads)
    q, k, v = one.heads * head, kv_heads * head, kv_heads * value
    expert = one.expert_inner or one.inner
    sizes = {"width": one.width, "3width": 3 * one.width, "vocabulary": one.vocabulary}
    sizes |= {"heads": one.heads, "head": head, "q": q, "k": k, "v": v, "2q": 2 * q, "1": 1}
    sizes["full_half"] = max(one.key_size) // 2
    sizes |= {"qkv": q + k + v, "inner": one.inner, "2inner": 2 * one.inner}
    sizes |= {"experts": one.experts, "expert": expert, "2expert": 2 * expert}
    sizes |= {"shared": one.shared_inner, **one.extras}
    sizes["routed_width"] = sizes.get("latent_width", one.width)
    for needed, derive in _DERIVED.items():
        if needed in sizes:
            sizes |= derive(one, sizes)
    return sizes


def _latent_sizes(one: Architecture, sizes: dict[str, int]) -> dict[str, int]:
    """Of attention over a compressed row (MLA)."""
    rope, nope, value = (sizes.get(word, 0) for word in ("rope", "nope", "value"))
    return {
        "latent": sizes["kv_rank"] + rope,
        "mla_q": one.heads * (nope + rope),
        "mla_out": one.heads * value,
    }


def _delta_sizes(one: Architecture, sizes: dict[str, int]) -> dict[str, int]:
    """Of linear attention with the delta rule (Qwen3-Next, Qwen3.5)."""
    values = sizes["linear_values"] * sizes["value_head"]
    gates = sizes["linear_values"]
    mixed = 2 * sizes["linear_keys"] * sizes["key_head"] + values
    return {"gates": gates, "2gates": 2 * gates, "values": values, "mixed": mixed}


def _mamba_sizes(one: Architecture, sizes: dict[str, int]) -> dict[str, int]:
    """Of Mamba-2 layers."""
    inner = sizes["mamba_heads"] * sizes["mamba_head"]
    mixed = inner + 2 * sizes["groups"] * sizes["state"]
    group = inner // max(sizes["groups"], 1)
    projected = inner + mixed + sizes["mamba_heads"]
    return {"mamba": inner, "mixed": mixed, "group": group, "projected": projected}


def _per_layer_sizes(one: Architecture, sizes: dict[str, int]) -> dict[str, int]:
    """Of Gemma's embeddings for each layer, and its alternating updates."""
    altup = sizes.get("altup", 1)
    return {
        "per_layers": one.layers * sizes["per_layer"],
        "others": altup - 1,
        "altups": altup * altup,
    }


_DERIVED: dict[str, Callable[[Architecture, dict[str, int]], dict[str, int]]] = {
    "kv_rank": _latent_sizes,
    "linear_keys": _delta_sizes,
    "mamba_heads": _mamba_sizes,
    "per_layer": _per_layer_sizes,
}


@cache
def _words(layout: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    parsed = []
    for entry in layout.split(";"):
        name, _, shape = entry.strip().partition(" ")
        parsed.append((name.rstrip(".") if "." in name else f"{name}.weight", shape))
    return tuple((name, tuple(shape.split(","))) for name, shape in parsed)


def _fill(layout: str, sizes: dict[str, int]) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(sizes[word] for word in shape)) for name, shape in _words(layout)]
