"""The options of a request: one table for the engine, the clients and the panels' widgets.

Names, kinds and defaults are Ollama's (0.33), but for four that only the embedded engine takes, and
Ollama skips in a request. The last three are set for a whole Ollama by OLLAMA_* variables, here for
each load; `cache_prompt` is llama.cpp's, and Ollama always does so. A default of None means that
the engine decides.
`minimum`, `maximum` and `step` are what a slider should offer, not limits that are enforced.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from workbench.errors import InvalidRequest

Kind = Literal["int", "float", "bool", "str", "list"]
_WORDS: dict[Kind, str] = {
    "int": "integer",
    "float": "float32",
    "bool": "boolean",
    "str": "string",
    "list": "array of strings",
}
_TRUE = {"1", "t", "true"}
_FALSE = {"0", "f", "false"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `load_time` ones reload the model when they change; those of them that are
    `order_only` change the order in which sums are made, so an answer by rounding alone."""

    name: str
    kind: Kind
    default: Any
    meaning: str
    load_time: bool = False
    order_only: bool = False
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()  # the only texts that it can be; empty: any


_TABLE = (
    Option("temperature", "float", 0.8, "How freely tokens are chosen; 0 is always the likeliest.",
           minimum=0, maximum=2, step=0.05),
    Option("top_k", "int", 40, "Only the k likeliest tokens are candidates; 0 means all.",
           minimum=0, maximum=200, step=1),
    Option("top_p", "float", 0.9, "Candidates are the likeliest tokens that sum to this share.",
           minimum=0, maximum=1, step=0.01),
    Option("min_p", "float", 0.0, "Drops tokens below this share of the likeliest one's chance.",
           minimum=0, maximum=1, step=0.01),
    Option("typical_p", "float", 1.0, "Prefers tokens of typical surprise; 1 switches it off.",
           minimum=0, maximum=1, step=0.01),
    Option("repeat_last_n", "int", 64, "How many last tokens count as repetition; -1 = context.",
           minimum=-1, maximum=4096, step=1),
    Option("repeat_penalty", "float", 1.0, "Above 1, tokens seen lately become less likely.",
           minimum=0.5, maximum=2, step=0.01),
    Option("presence_penalty", "float", 0.0, "Lowers tokens that occurred at all.",
           minimum=-2, maximum=2, step=0.05),
    Option("frequency_penalty", "float", 0.0, "Lowers tokens by how often they occurred.",
           minimum=-2, maximum=2, step=0.05),
    Option("seed", "int", -1, "The same seed gives the same text; -1 draws a new one.",
           minimum=-1, maximum=2**31 - 1, step=1),
    Option("num_predict", "int", -1, "Most tokens to generate; -1 means until the model stops.",
           minimum=-1, maximum=8192, step=1),
    Option("num_keep", "int", 4, "First tokens of the prompt that stay when the context is full.",
           minimum=-1, maximum=4096, step=1),
    Option("stop", "list", None, "Texts at which the answer ends."),
    Option("cache_prompt", "bool", None, "Take what is known of a prompt that was read before; "
           "None: not where a seed is to give the same text."),
    Option("num_ctx", "int", None, "Tokens that the model sees at once; more needs more memory.",
           load_time=True, minimum=4, maximum=262144, step=256),
    Option("num_batch", "int", None, "Prompt tokens computed in one step.",
           load_time=True, order_only=True, minimum=1, maximum=4096, step=32),
    Option("num_gpu", "int", -1, "Layers on the GPU; -1 is automatic, 0 is CPU only.",
           load_time=True, order_only=True, minimum=-1, maximum=256, step=1),
    Option("main_gpu", "int", None, "The GPU that holds small tensors.",
           load_time=True, order_only=True, minimum=0, maximum=15, step=1),
    Option("use_mmap", "bool", None, "Map the file into memory rather than read it.",
           load_time=True, order_only=True),
    Option("num_thread", "int", 0, "CPU threads; 0 is automatic.",
           load_time=True, order_only=True, minimum=0, maximum=256, step=1),
    Option("draft_num_predict", "int", None, "Tokens that a draft model guesses ahead.",
           load_time=True, order_only=True, minimum=0, maximum=16, step=1),
    Option("num_parallel", "int", None, "Answers computed at once; each has a context of its own.",
           load_time=True, order_only=True, minimum=1, maximum=64, step=1),
    Option("kv_cache_type", "str", None, "How exactly the context is remembered; less is smaller.",
           load_time=True, choices=("f16", "q8_0", "q4_0")),
    Option("flash_attention", "bool", None, "Attention in one pass, which takes less memory.",
           load_time=True, order_only=True),
)  # fmt: skip

OPTIONS: Mapping[str, Option] = MappingProxyType({option.name: option for option in _TABLE})

# Older clients still send these; they change nothing any more.
DEPRECATED_OPTIONS = frozenset(
    {"numa", "low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock", "embedding_only"}
    | {"tfs_z", "mirostat", "mirostat_tau", "mirostat_eta", "penalize_newline"}
)


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that count, of the right kinds. Defaults are not filled in.

    None is skipped, deprecated names are dropped, unknown ones too with a log line, and a
    float for an int is cut. Raises InvalidRequest for a wrong type.
    """
    checked: dict[str, Any] = {}
    for name, value in options.items():
        option = OPTIONS.get(name)
        if option is None:
            if name not in DEPRECATED_OPTIONS:
                _log.warning("unknown option %.80r ignored", name)
        elif value is not None:
            checked[name] = _coerce(option, value)
    return checked


def option_from_text(name: str, text: str) -> Any:
    """The value that `text` spells, as in `PARAMETER name text`; for `stop` one string.

    Raises InvalidRequest for an unknown name or a text that is no such value.
    """
    option = OPTIONS.get(name)
    if option is None:
        raise InvalidRequest(f"unknown parameter '{name[:80]}'", 400)
    try:
        if option.kind == "int":
            return _int64(option, float(text)) if not _is_integer(text) else int(text)
        if option.kind == "float":
            return _coerce(option, float(text))
    except (ValueError, InvalidRequest):
        raise InvalidRequest(f"invalid {option.kind} value '{text[:80]}' for {name}", 400) from None
    if option.kind == "bool":
        if text.lower() not in _TRUE | _FALSE:
            raise InvalidRequest(f"invalid bool value '{text[:80]}' for {name}", 400)
        return text.lower() in _TRUE
    return _coerce(option, text) if option.choices else text


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and len(text) <= 19


def _coerce(option: Option, value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if option.kind == "int" and number:
        return _int64(option, value)
    if option.kind == "float" and number and math.isfinite(value):
        return float(value)
    if option.kind == "bool" and isinstance(value, bool):
        return value
    if option.kind == "str" and isinstance(value, str) and value in option.choices:
        return value
    if option.kind == "list" and isinstance(value, list | tuple):
        if all(isinstance(item, str) for item in value):
            return list(value)
    elif option.kind == "list" and isinstance(value, str):
        return [value]  # how a Modelfile with one stop is often stored
    if option.choices:
        raise InvalidRequest(f'option "{option.name}" must be {_listed(option.choices)}', 400)
    raise InvalidRequest(f'option "{option.name}" must be of type {_WORDS[option.kind]}', 400)


def _listed(choices: tuple[str, ...]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _int64(option: Option, value: float) -> int:
    if not math.isfinite(value) or abs(value) >= 2**63:
        raise InvalidRequest(f'option "{option.name}" must be of type integer', 400)
    return int(value)
