"""What the base model says about the pairs of a training, kept beside it while it is under way.

Asking takes a pass over all pairs that are used. A training that was cut goes on with the answers
that are there, so that it asks about none twice. They are taken only where all is as it was: the
base model, the pairs token by token, and how they were asked.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.recipes._pairs import Pairs
from workbench.work import writing

if TYPE_CHECKING:
    import numpy as np

_FORMAT = 1  # raise it when the meaning of a file changes


def key_of(parts: Sequence[Pairs], *facts: object) -> str:
    """A word for these pairs and for how the base model is asked about them."""
    digest = hashlib.sha256(repr((_FORMAT, facts)).encode())
    for pairs in parts:
        digest.update(len(pairs).to_bytes(8, "big"))
        for pair in pairs.pairs:
            for ids, counts in pair:
                digest.update(len(ids).to_bytes(8, "big") + ids.tobytes() + counts.tobytes())
    return digest.hexdigest()


def load_reference(path: Path, key: str, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """A table (pairs, 2) in nats for each name; NaN where the base was not asked yet, which is
    everywhere where the file is missing, damaged or of other inputs."""
    import numpy as np
    from safetensors import SafetensorError, safe_open

    tables = {name: np.full((size, 2), np.nan, np.float32) for name, size in sizes.items()}
    try:
        with safe_open(path, "numpy") as file:
            if (file.metadata() or {}).get("key") != key:
                return tables
            found = {name: file.get_tensor(name) for name in tables}
    except (OSError, SafetensorError):
        return tables
    alike = all(found[n].shape == t.shape and found[n].dtype == t.dtype for n, t in tables.items())
    return found if alike else tables


def save_reference(path: Path, key: str, tables: Mapping[str, np.ndarray]) -> None:
    """Write the tables, all or nothing. Raises TrainingError when the disk refuses."""
    from safetensors.numpy import save

    unfinished = path.with_name(f"{path.name}.part")
    with writing(path), unfinished.open("wb") as file:
        file.write(save(dict(tables), {"key": key}))
        file.flush()
        os.fsync(file.fileno())
        unfinished.replace(path)
