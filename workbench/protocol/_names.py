"""Names of models: `[scheme://][host/][namespace/]model[:tag]`, by Ollama's rules.

No part may begin with a dot or hold a separator, so a parsed name is always a safe path of
four levels. Case is kept for display; names that differ only in case are the same model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from workbench.errors import InvalidRequest

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"

_PARTS = {
    "host": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}"),
    "namespace": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}"),
    "model": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"),
    "tag": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"),
}


@dataclass(frozen=True, slots=True)
class ModelName:
    """A whole name. `scheme` ("" = not said) is how to reach the host and no part of the name."""

    host: str
    namespace: str
    model: str
    tag: str
    scheme: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> ModelName:
        """The name that `text` spells. Raises InvalidRequest("invalid model name")."""
        rest, tag = text, DEFAULT_TAG
        if rest.rfind(":") > rest.rfind("/"):
            rest, _, tag = rest.rpartition(":")
        scheme = ""
        if "://" in rest:
            scheme, _, rest = rest.partition("://")
            if scheme not in {"http", "https"}:
                raise _invalid()
        parts = rest.split("/")
        parts = [DEFAULT_HOST, DEFAULT_NAMESPACE][: max(0, 3 - len(parts))] + parts
        if len(parts) != 3:
            raise _invalid()
        named = dict(zip(_PARTS, [*parts, tag], strict=True))
        if not all(_PARTS[part].fullmatch(value) for part, value in named.items()):
            raise _invalid()
        return cls(**named, scheme=scheme)

    def display(self) -> str:
        """The short form: without the default host and namespace, always with the tag."""
        short = f"{self.model}:{self.tag}"
        at_home = self.host.lower() == DEFAULT_HOST
        if not at_home:
            return f"{self.host}/{self.namespace}/{short}"
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{short}"
        return short

    def path(self) -> PurePosixPath:
        """host/namespace/model/tag: a relative path without `..`, whatever was parsed."""
        return PurePosixPath(self.host, self.namespace, self.model, self.tag)

    def key(self) -> str:
        """Lower-case whole name: two names with the same key are the same model."""
        return str(self.path()).lower()


def _invalid() -> InvalidRequest:
    return InvalidRequest("invalid model name", 400)
