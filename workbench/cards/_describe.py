"""A card from a GGUF header, and which categories a model's name and abilities put it into."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workbench.cards._card import Card
from workbench.errors import FitError
from workbench.fit import network_of
from workbench.gguf import Header

# what a word in a model's name says; the words stand between other letters' borders or digits
_NAMED: Mapping[str, str] = {
    "code": r"code|coder|codestral|devstral|starcoder|codellama|codegemma|codeqwen|deepcoder|swe",
    "vision": r"vl|vision|llava|moondream|minicpm-v|bakllava|ocr",
    "math": r"math|maths|mathstral|prover",
    "reasoning": r"r1|qwq|reasoning|reasoner|think|thinking|thinker",
    "embedding": r"embed|embedding|embeddings|embeddinggemma|minilm|bge|e5|gte|arctic-embed",
    "multilingual": r"multilingual|aya|translate|translategemma|sailor|seallm|m3",
}
_PATTERNS = {
    name: re.compile(rf"(?<![a-z])(?:{words})(?![a-z])", re.I) for name, words in _NAMED.items()
}
_ABLE = {"embedding": "embedding", "vision": "vision", "thinking": "reasoning", "tools": "tools"}
_QUANTISED = re.compile(
    r"[-._](?:UD-)?((?:I?Q|TQ)\d(?:_\w+?)?|B?F16|FP16|F32|MXFP4(?:_MOE)?)(?=\.gguf$|$)", re.I
)
_REPOSITORY = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)/?")
_SPDX = {"apache-2.0": "Apache-2.0", "mit": "MIT", "cc-by-4.0": "CC-BY-4.0"} | {
    "cc-by-nc-4.0": "CC-BY-NC-4.0", "bsd-3-clause": "BSD-3-Clause", "gpl-3.0": "GPL-3.0-only",
    "llama2": "LicenseRef-Llama-2-Community", "llama3": "LicenseRef-Llama-3-Community",
    "llama3.1": "LicenseRef-Llama-3.1-Community", "llama3.2": "LicenseRef-Llama-3.2-Community",
    "llama3.3": "LicenseRef-Llama-3.3-Community", "gemma": "LicenseRef-Gemma",
}  # fmt: skip


def categories_of(names: Iterable[str], capabilities: Iterable[str]) -> tuple[str, ...]:
    """The categories that names and abilities speak for; "general" for what merely writes."""
    text = " ".join(names)
    able = set(capabilities)
    found = {name for name, pattern in _PATTERNS.items() if pattern.search(text)}
    found |= {name for ability, name in _ABLE.items() if ability in able}
    if "embedding" in able or ("embedding" in found and "completion" not in able):
        return tuple(sorted(found & {"embedding", "multilingual", "code"} | {"embedding"}))
    special = found & {"code", "vision", "math", "embedding"}
    return tuple(sorted(found | (set() if special else {"general"})))


def licence_of(text: Any) -> str | None:
    """An SPDX identifier for the words that model files and the Hub use; None for no licence."""
    if not isinstance(text, str) or not 0 < len(text.strip()) <= 60:
        return None
    return _SPDX.get(text.strip().casefold(), text.strip())


def split_quantisation(name: str) -> tuple[str, str | None]:
    """A file's name without its quantisation, and that: ("Qwen3-4B", "Q4_K_M")."""
    found = _QUANTISED.search(name)
    return (name[: found.start()], found[1].upper()) if found else (name, None)


def card_of(
    header: Header,
    name: str,
    origin: str,
    *,
    source: str,
    capabilities: tuple[str, ...] = (),
    path: Path | None = None,
) -> Card:
    """The card that a file's header makes. What it does not tell stays None."""
    from workbench.library import capabilities_of

    able = capabilities or capabilities_of(header, None, False)
    try:
        network = network_of(header)
        notes: tuple[str, ...] = ()
    except FitError as error:
        network, notes = None, (str(error),)
    meta = header.metadata
    repository = _repository(meta)
    family = str(meta.get("general.basename") or split_quantisation(name)[0])[:100]
    facts: dict[str, Any] = {
        "parameters": header.parameter_count or None,
        "context": count_of(header.get("context_length")),
        "license": licence_of(meta.get("general.license")),
        "publisher": _text(meta.get("general.organization")),
        "architecture": network.architecture if network else None,
        "quantisation": header.file_type,
        "download": header.size,
        "hf_repo": repository,
        "capabilities": able,
    }
    return Card(
        name=name,
        family=family,
        categories=categories_of((name, family), able),
        **facts,
        sources={fact: source for fact, value in facts.items() if value},
        origins=(origin,),
        path=path,
        notes=notes,
        network=network,
    )


def _repository(meta: Mapping[str, Any]) -> str | None:
    """The Hugging Face repository that the file was made from, if it says so."""
    for key in ("general.source.repo_url", "general.repo_url"):
        found = _REPOSITORY.fullmatch(str(meta.get(key, "")))
        if found:
            return found[1]
    return None


def _text(value: Any) -> str | None:
    return value.strip()[:100] or None if isinstance(value, str) else None


def count_of(value: Any) -> int | None:
    """A whole number above 0 that can be one; else None."""
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 40
    return value if whole else None
