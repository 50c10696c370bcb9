"""Models on the disk, kept as Ollama keeps them: manifests and content-addressed blobs.

They come by `Creation` (from files, folders, other models) and by `Puller` (from registries and
the Hugging Face Hub), and go into a trash (`Library.trash`), from which they come back. Everything
appears whole or not at all, whatever is killed when. Nothing here loads a model into memory; never
give it a live Ollama's own folder.
"""

from __future__ import annotations

from workbench.library._create import Creation
from workbench.library._describe import capabilities_of, show
from workbench.library._events import Emit, Event
from workbench.library._hub import choose as hub_file
from workbench.library._hub import endpoint as hub_endpoint
from workbench.library._hub import is_hub
from workbench.library._hub import listing_url as hub_listing_url
from workbench.library._hub import token as hub_token
from workbench.library._library import Installed, Library
from workbench.library._moving import immovable
from workbench.library._notes import Note, Root
from workbench.library._pull import Puller
from workbench.library._registry import PullLimits, is_loopback, registry_url
from workbench.library._trash import Trash
from workbench.library._uses import last_load, note_load

__all__ = [
    "Creation",
    "Emit",
    "Event",
    "Installed",
    "Library",
    "Note",
    "PullLimits",
    "Puller",
    "Root",
    "Trash",
    "capabilities_of",
    "hub_endpoint",
    "hub_file",
    "hub_listing_url",
    "hub_token",
    "immovable",
    "is_hub",
    "is_loopback",
    "last_load",
    "note_load",
    "registry_url",
    "show",
]
