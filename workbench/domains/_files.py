"""Small texts on the disk: read with a limit, written beside and renamed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from workbench.errors import ModelfileError

LONGEST = 256 << 10  # bytes of a Modelfile; system texts have a few thousand


def read_text(path: Path) -> str:
    """A Modelfile's text. Raises ModelfileError: no such file, too large, no UTF-8."""
    try:
        if not path.is_file():
            raise ModelfileError(f"There is no file {path}. Check the path.")
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
    except OSError as error:
        raise ModelfileError(
            f"{path} cannot be read ({error.strerror}). Check its rights."
        ) from error
    if len(content) > LONGEST:
        raise ModelfileError(
            f"{path} is larger than {LONGEST >> 10} kB, which is too much for a Modelfile. Weights "
            "belong into a model: `workbench models create`."
        )
    return decoded(content, str(path))


def decoded(content: bytes, name: str) -> str:
    """UTF-8 with or without its mark. Raises ModelfileError."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ModelfileError(f"{name} is not valid UTF-8. Save it as UTF-8.", line) from None


def write_text(path: Path, text: str) -> None:
    """Write the file whole or not at all. Raises ModelfileError when the disk refuses."""
    beside: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        beside = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise ModelfileError(
            f"{path} cannot be written ({error.strerror}). Make room, or set WORKBENCH_HOME to a "
            "folder that you may write to."
        ) from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)
