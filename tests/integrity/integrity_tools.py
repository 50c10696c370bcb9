"""What the tests of integrity share: models put into a library by hand, and bytes turned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.integrity import Fault, Report
from workbench.library import Library
from workbench.protocol import Layer, Manifest, ModelName


def install(library: Library, name: str, weights: bytes, **texts: Any) -> dict[str, Path]:
    """A model of these weights and texts (`system="…"`); its blobs by their role."""
    layers = []
    for kind, content in {"model": weights, **texts}.items():
        raw = content if isinstance(content, bytes) else str(content).encode()
        layers.append(Layer(kind, library.blobs.add(raw), len(raw)))
    raw = json.dumps({"model_format": "gguf", "for": name}).encode()
    config = Layer("config", library.blobs.add(raw), len(raw))
    library.write_manifest(ModelName.parse(name), Manifest(config, tuple(layers)))
    return {layer.kind: library.blob(layer.digest) for layer in (*layers, config)}


def manifest_of(library: Library, name: str) -> Path:
    return library.root / "manifests" / ModelName.parse(name).path()


def flip(path: Path, at: int = 0) -> None:
    """Turn one bit."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def only(report: Report) -> Fault:
    """The one fault of a report."""
    (fault,) = report.faults
    return fault


def kinds(report: Report) -> list[str]:
    return sorted(fault.kind for fault in report.faults)
