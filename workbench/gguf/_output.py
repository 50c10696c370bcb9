"""Write a file so that its final name only ever shows a whole one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import GGUFError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary neighbour of `path`, flushed to disk and renamed when the block succeeds.

    A kill leaves at most a hidden `.<name>.<random>.tmp` beside it.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = error.strerror or error
        raise GGUFError(f"{path} cannot be written ({reason}). Is there space?") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
