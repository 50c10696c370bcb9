"""Checkpoints that a kill at any moment cannot spoil.

The new one is written beside the old one, forced to the disk, and renamed over it: there is
always exactly one whole checkpoint. Loading takes tensors and plain values only, never code.
"""

from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path
from typing import Any

from workbench.work import writing

_log = logging.getLogger(__name__)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path`, all or nothing. Raises TrainingError when the disk refuses."""
    import torch

    unfinished = path.with_name(path.name + ".part")
    with writing(path), unfinished.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
        unfinished.replace(path)
        _sync_folder(path.parent)


def load_checkpoint(path: Path, fingerprint: dict[str, Any]) -> dict[str, Any] | None:
    """The state in `path`; None when there is none that belongs to this run."""
    import torch

    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError) as error:
        _log.warning("The checkpoint %s is damaged (%s); training starts anew.", path, error)
        return None
    if not isinstance(state, dict) or state.get("fingerprint") != fingerprint:
        _log.warning("The checkpoint is of another run (other settings or texts); starting anew.")
        return None
    return state


def _sync_folder(folder: Path) -> None:
    """Force the rename itself to the disk, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
