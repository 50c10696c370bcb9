"""Which of llama.cpp's named pre-tokenizers does what a tokenizer.json asks for.

llama.cpp knows pre-tokenizers by name only. The official converter finds the name by the hash
of a tokenised text, which knows published vocabularies; we compare the splitting rules, which
also knows a vocabulary that was trained an hour ago. An unknown rule is refused, because a
model whose text is split otherwise than in its training answers worse without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.errors import GGUFError

_SHORT_FORMS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_CASED = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+%s"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*%s"
)
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_SIGNS_SLASH = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"

LLAMA3 = "|".join([_SHORT_FORMS, _WORD, r"\p{N}{1,3}", _SIGNS, _SPACES])
QWEN2 = "|".join([_SHORT_FORMS, _WORD, r"\p{N}", _SIGNS, _SPACES])
TEKKEN = "|".join([_CASED % ("", ""), r"\p{N}", _SIGNS_SLASH, _SPACES])
GPT4O = "|".join(
    [_CASED % (_SHORT_FORMS + "?", _SHORT_FORMS + "?"), r"\p{N}{1,3}", _SIGNS_SLASH, _SPACES]
)
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

_NAMES: Mapping[tuple[str, ...], str] = {
    (GPT2,): "gpt-2",
    (LLAMA3,): "dbrx",
    (QWEN2,): "qwen2",
    (TEKKEN,): "tekken",
    (GPT4O,): "gpt-4o",
    ("digit", GPT2): "smollm",
}
# these take a whole word that is a token as it is, without applying merges
_IGNORING_MERGES = {"dbrx": "llama-bpe", "tekken": "tekken"}


def pretokenizer_name(tokenizer: Mapping[str, Any]) -> str:
    """llama.cpp's name for the pre-tokenizer of a byte-level BPE; GGUFError for none."""
    rules = tuple(_rules(tokenizer.get("pre_tokenizer") or {}))
    name = _NAMES.get(rules)
    if name is None:
        raise GGUFError(
            "llama.cpp has no pre-tokenizer for this tokenizer.json; it splits text by "
            f"{list(rules)!r}. Supported are those of GPT-2, Llama 3, Qwen 2, Mistral "
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
        if step.get("add_prefix_space"):
            return ["a space before the text", *([GPT2] if step.get("use_regex", True) else [])]
        return [GPT2] if step.get("use_regex", True) else []
    if kind == "Digits":
        return ["digit" if step.get("individual_digits") else "digits"]
    if kind == "Split" and step.get("behavior") == "Isolated" and not step.get("invert"):
        pattern = step.get("pattern") or {}
        return [str(pattern.get("Regex", pattern.get("String")))]
    return [str(kind)]
