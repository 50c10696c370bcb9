"""GGUF files of the Hugging Face Hub: `hf.co/<organisation>/<repository>:<quantisation>`.

The Hub speaks the registry protocol for them. Where it does not (a mirror, a gated repository
with a token), the file is found by the Hub's list of files and taken from there; its SHA-256
is in that list. The tag is a quantisation (Q4_K_M) or a file's name; "latest" prefers Q4_K_M.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from workbench import settings
from workbench.errors import EngineError, InvalidRequest
from workbench.library._registry import Registry
from workbench.protocol import CreateRequest, Layer, ModelName, parse_digest

_HOSTS = {"hf.co", "huggingface.co"}
_PREFERRED = ("q4_k_m", "q4_0", "q8_0", "")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file to take, and the create that makes a model of it."""

    url: str
    layer: Layer
    request: CreateRequest


def is_hub(name: ModelName) -> bool:
    """Whether the name means a repository of the Hub."""
    return name.host.lower() in _HOSTS


def endpoint() -> str:
    """The Hub's address, or its mirror's."""
    url = settings.env("WORKBENCH_HF_ENDPOINT") or settings.env("HF_ENDPOINT", "https://hf.co")
    return url.rstrip("/")


def token() -> str:
    """The user's token for the Hub, "" without one."""
    return settings.env("HF_TOKEN")


async def find(registry: Registry, name: ModelName) -> HubFile:
    """The repository's file for the name's tag. Raises EngineError when there is none."""
    return choose(await registry.get(listing_url(registry.base, name)), registry.base, name)


def listing_url(base: str, name: ModelName) -> str:
    """Where the repository's files are listed."""
    return f"{base}/api/models/{name.namespace}/{name.model}/tree/main?recursive=true"


def choose(listed: bytes, base: str, name: ModelName) -> HubFile:
    """The file for the name's tag in a list of files. Raises EngineError when there is none."""
    try:
        files = [item for item in json.loads(listed) if _is_model(item)]
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise EngineError("the Hub's list of files cannot be read", 500) from None
    wanted = name.tag.lower()
    for part in _PREFERRED if wanted == "latest" else (wanted,):
        fitting = sorted((item for item in files if part in item["path"].lower()), key=_length)
        if fitting:
            return _take(base, name, fitting[0])
    names = ", ".join(item["path"] for item in files[:20]) or "none"
    raise EngineError(f"no GGUF file fits the tag {name.tag}; the repository has: {names}", 500)


def _is_model(item: dict[str, Any]) -> bool:
    path = str(item.get("path", "")).lower()
    return path.endswith(".gguf") and "mmproj" not in path


def _length(item: dict[str, Any]) -> int:
    return len(item["path"])  # Q4_0 is in "Q4_0.gguf" and in "Q4_0_4_8.gguf": the plainest wins


def _take(base: str, name: ModelName, item: dict[str, Any]) -> HubFile:
    try:
        digest = f"sha256:{parse_digest('sha256:' + item['lfs']['oid'])}"
        size = int(item["lfs"]["size"])
    except (KeyError, TypeError, ValueError, InvalidRequest):
        raise EngineError(f"the Hub gives no SHA-256 for {item['path']}", 500) from None
    path = quote(item["path"])
    url = f"{base}/{name.namespace}/{name.model}/resolve/main/{path}"
    whole = f"{name.host}/{name.namespace}/{name.model}:{name.tag}"
    request = CreateRequest.parse({"model": whole, "files": {item["path"]: digest}})
    return HubFile(url, Layer("model", digest, size), request)
