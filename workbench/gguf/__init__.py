"""GGUF files: read headers without loading weights, convert from Hugging Face, quantise."""

from __future__ import annotations

from workbench.gguf._convert import convert
from workbench.gguf._header import Array, Header, TensorInfo
from workbench.gguf._reader import read_header

__all__ = ["Array", "Header", "TensorInfo", "convert", "read_header"]
