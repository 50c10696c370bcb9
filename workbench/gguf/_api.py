"""The room's doors to what needs NumPy and gguf: both are loaded when one is first used.

So the engine, the command line and the panels can name this room and start quickly.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Progress = Callable[[float], None]


def convert(
    folder: Path, out: Path, *, dtype: str = "f16", progress: Progress | None = None
) -> Path:
    """Write the Hugging Face model in `folder` to `out` as GGUF; returns `out`.

    `dtype`: f32, f16 or bf16. `progress` is called with a share from 0 to 1. GGUFError when the
    folder is incomplete or its kind is not supported; `out` is then as before.
    """
    from workbench.gguf._convert import convert

    return convert(Path(folder), Path(out), dtype, progress)


def convert_adapter(
    folder: Path,
    out: Path,
    *,
    base: Path,
    dtype: str = "f32",
    progress: Progress | None = None,
) -> Path:
    """Write the LoRA adapter (a PEFT folder) to `out` as GGUF; returns `out`.

    `base` is the model it was trained on: its Hugging Face folder, or its GGUF file.
    GGUFError when the adapter does not fit the base or is of a kind llama.cpp cannot apply.
    """
    from workbench.gguf._adapter import convert_adapter

    return convert_adapter(Path(folder), Path(out), Path(base), dtype, progress)


def quantise(source: Path, out: Path, kind: str, *, progress: Progress | None = None) -> Path:
    """Write `source` (F32, F16 or BF16) to `out` in the mix `kind`, like "Q4_K_M"; returns `out`.

    GGUFError for a source that is quantised already, for unknown kinds, for weights that are not
    numbers. `out` appears when it is whole.
    """
    from workbench.gguf._quantise import quantise

    return quantise(Path(source), Path(out), kind, progress)
