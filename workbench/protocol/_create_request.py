"""What a create asks for, checked as far as it can be before any file is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from workbench.errors import InvalidRequest
from workbench.protocol._digests import parse_digest
from workbench.protocol._goparse import parse_template
from workbench.protocol._gotemplate import is_go_template
from workbench.protocol._names import ModelName
from workbench.protocol._options import check_options

CREATE_FIELDS: dict[str, tuple[type, ...]] = {
    "model": (str,), "name": (str,), "stream": (bool,), "from": (str,), "files": (dict,),
    "adapters": (dict,), "template": (str,), "system": (str,), "license": (str, list),
    "parameters": (dict,), "messages": (list,), "quantize": (str,), "renderer": (str,),
    "parser": (str,), "requires": (str,),
}  # fmt: skip
_ROLES = {"system", "user", "assistant", "tool"}


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What is asked for, checked as far as it can be without files."""

    name: ModelName
    source: str
    files: Mapping[str, str]  # relative path → sha256:<hex>
    adapters: Mapping[str, str]
    texts: Mapping[str, Any]  # layer kind → content
    parameters: Mapping[str, Any]
    licenses: tuple[str, ...]
    quantize: str  # upper-case; which kinds there are is the engine's to say
    config: Mapping[str, str]

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> CreateRequest:
        """Raises InvalidRequest with the protocol's words."""
        name = ModelName.parse(body.get("model") or body.get("name") or "")
        if "files" not in body and not body.get("from"):
            raise InvalidRequest("neither 'from' or 'files' was specified", 400)
        template = body.get("template", "")
        if template and is_go_template(template):
            parse_template(template)
        licenses = body.get("license") or []
        licenses = [licenses] if isinstance(licenses, str) else licenses
        if not all(isinstance(text, str) for text in licenses):
            raise InvalidRequest("license must be a text or a list of texts", 400)
        kind = body.get("quantize", "").upper()
        texts = {"template": template, "system": body.get("system", "")}
        return cls(
            name, body.get("from", ""), _files(body.get("files") or {}),
            _files(body.get("adapters") or {}),
            {**texts, "messages": _messages(body.get("messages") or [])},
            check_options(body.get("parameters") or {}), tuple(licenses),
            "Q4_K_M" if kind == "Q4_K" else kind,
            {key: body[key] for key in ("renderer", "parser", "requires") if body.get(key)},
        )  # fmt: skip


def _files(files: Mapping[str, Any]) -> dict[str, str]:
    for path in files:
        parts = PurePosixPath(path).parts
        windows = PureWindowsPath(path)
        odd = "\0" in path or "\\" in path or ".." in parts or windows.drive or windows.root
        if odd or not parts or len(path) > 1024:
            raise InvalidRequest("file path must be relative", 400)
    return {str(PurePosixPath(k)): f"sha256:{parse_digest(str(v))}" for k, v in files.items()}


def _messages(messages: list[Any]) -> list[dict[str, str]]:
    for turn in messages:
        good = isinstance(turn, dict) and turn.get("role") in _ROLES
        if not good or not isinstance(turn.get("content", ""), str):
            raise InvalidRequest("each message must be an object with a role and a content", 400)
    return [{"role": turn["role"], "content": turn.get("content", "")} for turn in messages]
