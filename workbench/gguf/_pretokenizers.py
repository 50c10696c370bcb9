"""Which of llama.cpp's named pre-tokenizers does what a tokenizer.json asks for.

llama.cpp knows pre-tokenizers by name only. The official converter finds the name by the hash
of a tokenised text, which knows published vocabularies; we compare the splitting rules, which
also knows a vocabulary that was trained an hour ago. An unknown rule is refused, because a
model whose text is split otherwise than in its training answers worse without a word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import GGUFError

# llama.cpp's names: the regular expressions that split, or words for the built-in rules
_RULES: Mapping[str, list[str]] = json.loads(
    Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
)
# these take a whole word that is a token as it is, without applying merges
_IGNORING_MERGES = {"dbrx": "llama-bpe"}


def pretokenizer_name(tokenizer: Mapping[str, Any]) -> str:
    """llama.cpp's name for the pre-tokenizer of a byte-level BPE; GGUFError for none."""
    rules = _rules(tokenizer.get("pre_tokenizer") or {})
    name = next((name for name, known in _RULES.items() if known == rules), None)
    if name is None:
        raise GGUFError(
            "llama.cpp has no pre-tokenizer for this tokenizer.json; it splits text by "
            f"{rules!r}. Supported are those of GPT-2, Llama 3, Qwen 2, Mistral "
            "(Tekken), GPT-4o and SmolLM."
        )
    if (tokenizer.get("model") or {}).get("ignore_merges"):
        return _IGNORING_MERGES.get(name, name)
    return name


def _rules(step: Mapping[str, Any]) -> list[str]:
    """The splitting rules in order: regular expressions, or words for the built-in ones."""
    kind = step.get("type")
    if kind == "Sequence":
        return [rule for inner in step.get("pretokenizers") or [] for rule in _rules(inner)]
    if kind == "ByteLevel":
        spaces = ["a space before the text"] if step.get("add_prefix_space") else []
        return [*spaces, "GPT-2"] if step.get("use_regex", True) else spaces
    if kind == "Digits":
        return ["digit" if step.get("individual_digits") else "digits"]
    if kind == "Split" and step.get("behavior") == "Isolated" and not step.get("invert"):
        pattern = step.get("pattern") or {}
        return [str(pattern.get("Regex", pattern.get("String")))]
    return [str(kind)]
