"""Texts that are searched by meaning, with vectors that an embedding model of the engine makes.

    memory = collection("memory", model="all-minilm")
    memory.add([("note-1", "The backup runs at two in the morning.", {"from": "chat"})])
    memory.search("When is the backup?", limit=3)    # [Found(key, text, about, score), …]

Vectors come in generations, one for each embedding model. Another model's is made beside the one
in use, and taken into use in one step when it is complete:

    number = reembed(None, "memory", "another-model")
    switch("memory", number)
"""

from workbench.vectors._backup import backup
from workbench.vectors._collection import Collection, collection, collections, drop
from workbench.vectors._generations import (
    dependents,
    forget,
    generations,
    mismatches,
    reembed,
    switch,
)
from workbench.vectors._records import Found, Generation, Item, Mismatch, Stats
from workbench.vectors._restore import restore

__all__ = [
    "Collection",
    "Found",
    "Generation",
    "Item",
    "Mismatch",
    "Stats",
    "backup",
    "collection",
    "collections",
    "dependents",
    "drop",
    "forget",
    "generations",
    "mismatches",
    "reembed",
    "restore",
    "switch",
]
