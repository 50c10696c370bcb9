"""GGUF files of a Hugging Face folder: one whole, and each quantisation from it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from workbench.export._names import checked_kinds
from workbench.gguf import convert, convert_adapter, quantise
from workbench.work import writing

WHOLE = ("F16", "F32", "BF16")  # written from the folder; the others from the first one asked for


def write_gguf(
    folder: Path,
    out: Path,
    kinds: Sequence[str],
    *,
    whole: Path | None = None,
    told: Callable[[str, Path], None] = lambda kind, path: None,
) -> dict[str, Path]:
    """The model in `folder` as `out/<kind>.gguf` for each of `kinds`; the paths by kind.

    Quantisations are made from `whole`, the folder's model as a file that is not quantised; else
    from the first such kind that is asked for, else from an F16 file that goes away again. Each
    file appears when it is whole, and is `told` then. Raises TrainingError for unknown kinds,
    GGUFError for a folder that cannot be converted and for a disk that refuses.
    """
    wanted = checked_kinds(kinds)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    files = {kind: out / f"{kind}.gguf" for kind in wanted}
    for kind in (one for one in wanted if one in WHOLE):
        convert(folder, files[kind], dtype=kind.lower())
        told(kind, files[kind])
    quantised = [kind for kind in wanted if kind not in WHOLE]
    source = whole or next((files[kind] for kind in WHOLE if kind in files), None)
    leftover = None
    if quantised and source is None:
        source = leftover = convert(folder, out / "whole.gguf", dtype="f16")
    try:
        for kind in quantised:
            assert source is not None
            quantise(source, files[kind], kind)
            told(kind, files[kind])
    finally:
        if leftover is not None:
            leftover.unlink(missing_ok=True)
    return files


def write_adapter(base: Path, adapter: Path, out: Path) -> Path:
    """The PEFT folder `adapter` as a GGUF adapter `out` for `base` (folder or GGUF file)."""
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    return convert_adapter(adapter, out, base=base)


def folder_digest(folder: Path) -> str:
    """A hash of all that a model's folder says: its files' names and contents, as bare hex."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        whole.update(f"{path.name}\0{sha256(path)}\n".encode())
    return whole.hexdigest()


def sha256(path: Path) -> str:
    """The file's SHA-256 as bare hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
