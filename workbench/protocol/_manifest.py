"""Manifests: which blobs make a model, in the Docker form that Ollama uses.

A manifest may come from anywhere; `Manifest.parse` takes only whole digests and sizes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from workbench.errors import EngineError, WorkbenchError
from workbench.protocol._digests import parse_digest

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_LAYER_TYPE = "application/vnd.ollama.image."


@dataclass(frozen=True, slots=True)
class Layer:
    """One blob in a role: "model", "template", "params" …; "config" for the config."""

    kind: str
    digest: str  # sha256:<hex>
    size: int
    source: str = ""  # the model that it was taken from

    def record(self) -> dict[str, Any]:
        media = _CONFIG_TYPE if self.kind == "config" else _LAYER_TYPE + self.kind
        record: dict[str, Any] = {"mediaType": media, "digest": self.digest, "size": self.size}
        return {**record, "from": self.source} if self.source else record


@dataclass(frozen=True, slots=True)
class Manifest:
    """The config and the layers, in order."""

    config: Layer
    layers: tuple[Layer, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Manifest:
        """Raises EngineError when this is no manifest."""
        try:
            record = json.loads(raw)
            layers = tuple(_layer(item) for item in record["layers"] or ())
            return cls(_layer(record["config"], "config"), layers)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, WorkbenchError):
            raise EngineError("this is not a manifest of a model", 500) from None

    def render(self) -> bytes:
        record = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": self.config.record(),
            "layers": [layer.record() for layer in self.layers],
        }
        return json.dumps(record, separators=(",", ":")).encode()

    @property
    def all(self) -> tuple[Layer, ...]:
        return (*self.layers, self.config)

    @property
    def size(self) -> int:
        return sum(layer.size for layer in self.all)

    def of(self, *kinds: str) -> tuple[Layer, ...]:
        return tuple(layer for layer in self.layers if layer.kind in kinds)


def _layer(record: dict[str, Any], kind: str = "") -> Layer:
    size = record["size"]
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError("size")
    kind = kind or str(record["mediaType"]).removeprefix(_LAYER_TYPE)
    digest = f"sha256:{parse_digest(record['digest'])}"
    return Layer(kind, digest, size, str(record.get("from") or ""))
