"""A Modelfile's FROM and ADAPTER lines as what an engine's `create` takes.

A path that exists (absolute, from `~`, or beside the Modelfile) is uploaded; anything else is the
name of a model.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from workbench.cli._errors import NotFound
from workbench.cli._output import note
from workbench.errors import ModelfileError
from workbench.protocol import Modelfile, parse_modelfile


def read_modelfile(file: Path) -> tuple[Modelfile, Path]:
    """The Modelfile and the folder that its relative paths start from."""
    if str(file) == "-":
        return parse_modelfile(sys.stdin.buffer.read()), Path.cwd()
    if not file.is_file():
        raise NotFound(f"There is no Modelfile {file}. Name one with -f.")
    try:
        return parse_modelfile(file.read_bytes()), file.absolute().parent
    except ModelfileError as error:
        raise ModelfileError(f"{file}: {error}") from None


def arguments(modelfile: Modelfile, folder: Path) -> dict[str, Any]:
    """Keyword arguments for `Engine.create`: texts, and `files` and `adapters` to upload."""
    sources = [(source, _local(source, folder)) for source in modelfile.from_]
    names = [source for source, path in sources if path is None]
    files = [path for _, path in sources if path is not None]
    if len(names) > 1 or (names and files):
        raise ModelfileError(
            f"FROM names {', '.join(map(repr, names))} and something else. Several FROM lines "
            "are for files that belong together, such as a model and its projector."
        )
    adapters = []
    for source in modelfile.adapters:
        path = _local(source, folder)
        if path is None:
            raise NotFound(f"ADAPTER {source}: there is no such file or folder in {folder}.")
        adapters.append(path)
    for keyword in ("requires", "renderer", "parser", "draft"):
        if getattr(modelfile, keyword):
            note(f"{keyword.upper()} is left out: the engine is not told about it.")
    return {
        "from_": names[0] if names else None,
        "files": _upload(files),
        "adapters": _upload(adapters),
        "template": modelfile.template or None,
        "system": modelfile.system or None,
        "parameters": dict(modelfile.parameters) or None,
        "messages": list(modelfile.messages) or None,
        "license": list(modelfile.license) or None,
    }


def _local(source: str, folder: Path) -> Path | None:
    """The existing file or folder that `source` names, None when it is a model's name."""
    try:
        path = folder / Path(source).expanduser()
        if path.exists():
            return path
    except (OSError, RuntimeError):  # too long for a path; a home of nobody
        pass
    if source.startswith((".", "/", "~")) or source.lower().endswith((".gguf", ".safetensors")):
        raise NotFound(f"{source} does not exist (looked in {folder}).")
    return None


def _upload(paths: list[Path]) -> Path | dict[str, Path] | None:
    """One file or folder as it is (the client picks a folder's files), several by their names."""
    if len(paths) < 2:
        return paths[0] if paths else None
    named = {path.name: path for path in paths}
    if len(named) < len(paths) or any(path.is_dir() for path in paths):
        raise ModelfileError("several FROM or ADAPTER lines must name files with different names.")
    return named
