"""GGUF files: read headers without loading weights, convert from Hugging Face, quantise."""

from __future__ import annotations

from workbench.gguf._api import convert, convert_adapter, quantise
from workbench.gguf._header import Array, Header, TensorInfo
from workbench.gguf._mix import QUANTISATIONS, tensor_types
from workbench.gguf._reader import read_header

__all__ = [
    "QUANTISATIONS",
    "Array",
    "Header",
    "TensorInfo",
    "convert",
    "convert_adapter",
    "quantise",
    "read_header",
    "tensor_types",
]
