"""What takes the disk, what of it may go, and a trash from which it comes back.

    found = survey()                    # models, trainings, datasets, caches …: bytes, uses
    going = plan(["model"], unused_days=60, keep=["qwen*"])  # a dry run: what, and why not
    gone = prune(going)                 # one step: all of it or nothing, over a kill too
    undo(gone.id)                       # or empty(gone.id): only then its bytes come back

Blobs that models share are counted once. What is loaded, under way, in the current release or
protected (`protect("starter:*", "my own")`) never goes; what lineage still needs goes only by name.
"""

from __future__ import annotations

from workbench.storage._plan import UNUSED_DAYS, plan
from workbench.storage._protect import protect, protections, unprotect
from workbench.storage._prune import prune
from workbench.storage._records import (
    KINDS,
    Item,
    Kind,
    Plan,
    Protection,
    Survey,
    Trashed,
    protects,
)
from workbench.storage._survey import survey
from workbench.storage._trash import empty, find, trash, undo

__all__ = [
    "KINDS",
    "UNUSED_DAYS",
    "Item",
    "Kind",
    "Plan",
    "Protection",
    "Survey",
    "Trashed",
    "empty",
    "find",
    "plan",
    "protect",
    "protections",
    "protects",
    "prune",
    "survey",
    "trash",
    "undo",
    "unprotect",
]
