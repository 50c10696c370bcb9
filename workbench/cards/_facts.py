"""A network's shape from a card's facts: what the schema says about `architecture`.

`pattern` is a text that repeats over the layers: F sees all tokens, S the last `window` tokens, R
keeps a recurrent state instead of keys and values, X attends to a picture's tokens (`extras`:
`image_tokens`), M is a Mamba layer, E a feed-forward layer alone. `cached_layers` says how many
first layers own keys and values where the others borrow them. Sizes of recurrent states are
llama.cpp's (32-bit numbers). Docs: docs/cards.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, islice
from typing import Any

from workbench.errors import InvalidRequest
from workbench.fit import Architecture

_MOST = 2**26  # larger than any vocabulary or width
_MOST_LAYERS = 1024
_NEEDED = ("layers", "width", "vocabulary", "heads", "inner")
_NUMBERS = (*_NEEDED, "kv_heads", "head_size", "window", "cached_layers", "full_kv_heads")
_COUNTS = ("full_head_size", "experts", "experts_used", "expert_inner", "shared_inner")
_OTHERS = ("name", "tied", "pattern", "causal", "extras")
_LETTERS = set("FSRXME")
_TOGETHER = (  # extras that need each other
    {"linear_keys", "linear_values", "key_head", "value_head", "kernel"},
    {"mamba_heads", "mamba_head", "groups", "state", "kernel"},
    {"kv_rank", "rope"},
)


def architecture_of(
    facts: Mapping[str, Any], what: str = "The card", context: int | None = None
) -> Architecture:
    """The shape that the facts state; InvalidRequest when they are wrong or lack something.

    `context` is what the card says of the tokens that the model was trained with.
    """
    unknown = set(facts) - {*_NUMBERS, *_COUNTS, *_OTHERS}
    if unknown:
        raise InvalidRequest(f"{what}: architecture has an unknown field, {min(unknown)!r}.")
    number: dict[str, Any] = {key: _count(facts, key, what) for key in (*_NUMBERS, *_COUNTS)}
    missing = [key for key in _NEEDED if not number[key]]
    name, pattern = facts.get("name"), facts.get("pattern", "F")
    tied, causal, extras = facts.get("tied"), facts.get("causal", True), facts.get("extras", {})
    if not isinstance(name, str) or not 0 < len(name) <= 40 or missing:
        raise InvalidRequest(f"{what}: architecture lacks {(missing or ['name'])[0]}.")
    if not isinstance(pattern, str) or not pattern or set(pattern) - _LETTERS:
        raise InvalidRequest(f"{what}: pattern must consist of the letters F, S, R, X, M and E.")
    if not isinstance(tied, bool) or not isinstance(causal, bool):
        raise InvalidRequest(f"{what}: tied and causal must be true or false.")
    if not isinstance(extras, dict) or number["layers"] > _MOST_LAYERS:
        raise InvalidRequest(f"{what}: extras must be numbers by name; at most 1024 layers.")
    whole = _whole_extras(extras, number, what)
    layers = "".join(islice(cycle(pattern), number["layers"]))
    _check(number, layers, whole, what)
    return Architecture(
        name=name,
        layers=len(layers),
        **{key: number[key] for key in _NEEDED[1:]},
        **_per_layer(layers, number, whole, causal),
        tied=tied,
        context=context,
        experts=number["experts"],
        experts_used=number["experts_used"],
        expert_inner=number["expert_inner"],
        shared_inner=number["shared_inner"],
        state_bytes=_state_bytes(layers, number["width"], whole),
        causal=causal,
        extras=whole,
        kinds=layers if set(layers) != {"F"} else "",
    )


def _whole_extras(
    extras: Mapping[str, Any], number: Mapping[str, int], what: str
) -> dict[str, int]:
    """The card's extras, and those that `memory` knows from a file's header."""
    whole = {str(key)[:40]: _count(extras, key, what) for key in extras}
    if number["cached_layers"]:  # the others have matrices for keys, but no cache
        whole["kv_heads"] = number["kv_heads"]
    if "kv_rank" in whole:
        whole["latent"] = whole["kv_rank"]
    if "nope" in whole:
        whole["mla_key"] = whole["nope"] + whole.get("rope", 0)
        whole["mla_value"] = whole.get("value", 0)
    return whole


def _check(number: Mapping[str, int], layers: str, extras: Mapping[str, int], what: str) -> None:
    """Refuse facts that contradict each other."""
    head = number["head_size"] or number["width"] // number["heads"]
    if number["kv_heads"] > number["heads"] or not (head or "kv_rank" in extras):
        raise InvalidRequest(f"{what}: heads, kv_heads and width contradict each other.")
    if number["experts_used"] > number["experts"]:
        raise InvalidRequest(f"{what}: experts_used cannot be more than experts.")
    if "S" in layers and not number["window"]:
        raise InvalidRequest(f"{what}: a pattern with S needs a window.")
    for group in _TOGETHER:
        if group & set(extras) - {"kernel"} and not all(extras.get(word) for word in group):
            raise InvalidRequest(f"{what}: extras need all of {', '.join(sorted(group))}.")


def _count(facts: Mapping[str, Any], key: str, what: str) -> int:
    """A whole number that is not negative; 0 when it is not stated."""
    value = facts.get(key)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise InvalidRequest(f"{what}: {str(key)[:40]} must be a whole number up to {_MOST}.")
    return value


def _per_layer(
    layers: str, number: Mapping[str, int], extras: Mapping[str, int], causal: bool
) -> dict[str, Any]:
    """Key-value heads, sizes of keys and values, and windows, layer by layer."""
    head = number["head_size"] or number["width"] // number["heads"]
    full_head = number["full_head_size"] or head
    kv_heads = number["kv_heads"] or number["heads"]
    owners = number["cached_layers"] or len(layers)
    windows = {"S": number["window"] or None, "X": extras.get("image_tokens")}
    heads, keys, values = [], [], []
    for place, kind in enumerate(layers):
        count = (number["full_kv_heads"] or kv_heads) if kind == "F" else kv_heads
        size = full_head if kind == "F" else head
        if "kv_rank" in extras:  # MLA: one compressed row, whose beginning serves as the values
            heads.append(1)
            keys.append(extras["kv_rank"] + extras["rope"])
            values.append(extras["kv_rank"])
            continue
        cached = causal and kind in "FSX" and place < owners
        heads.append(count if cached else 0)
        keys.append(size)
        values.append(size)
    return {
        "kv_heads": tuple(heads),
        "key_size": tuple(keys),
        "value_size": tuple(values),
        "windows": tuple(windows.get(kind) for kind in layers),
    }


def _state_bytes(layers: str, width: int, extras: Mapping[str, int]) -> int:
    """Of one sequence: the convolution's last inputs and the state, in each recurrent layer."""
    kernel = max(extras.get("kernel", 1) - 1, 0)
    if "linear_keys" in extras:
        values = extras["linear_values"] * extras["value_head"]
        mixed = 2 * extras["linear_keys"] * extras["key_head"] + values
        return 4 * layers.count("R") * (kernel * mixed + values * extras["key_head"])
    if "mamba_heads" in extras:
        inner = extras["mamba_heads"] * extras["mamba_head"]
        mixed = inner + 2 * extras["groups"] * extras["state"]
        return 4 * layers.count("M") * (kernel * mixed + inner * extras["state"])
    return 4 * layers.count("R") * kernel * width
