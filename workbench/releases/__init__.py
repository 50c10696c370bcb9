"""Releases: named, immutable versions of our configuration of models, and which one is in use.

    members = describe(engine, {"primary": "starter", "embedding": "all-minilm"})
    made = make("", members, purpose="The first one.")       # v0.1, in use at once
    model("primary")                                         # "starter:latest"
    switch("v0.1", "the new one was slow")                   # back, in one transaction
    print(changelog(history(), switches()))
    write_file("workbench.releases.json")                    # for Git; import_file reads it in

A release names its models by digest; the room `sync` brings exactly those into an engine.
"""

from __future__ import annotations

from workbench.releases._ancestry import Ancestry, Descent, Version, ancestry
from workbench.releases._changelog import changelog
from workbench.releases._check import role as check_role
from workbench.releases._check import version as check_version
from workbench.releases._compare import Comparison, compare
from workbench.releases._describe import describe
from workbench.releases._diff import Change, Diff, Row, diff
from workbench.releases._document import content_digest, from_document, to_document
from workbench.releases._file import (
    FILE,
    Imported,
    ReleaseFile,
    import_file,
    read_file,
    write_file,
)
from workbench.releases._keep import (
    current,
    find,
    history,
    make,
    next_version,
    previous,
    switch,
    switches,
)
from workbench.releases._measured import machine_words, measured_since, measurements
from workbench.releases._names import aliases, model, remove_alias, set_alias
from workbench.releases._records import ROLES, SOURCES, Alias, Member, Release, Source, Switch
from workbench.releases._words import figures_words

__all__ = [
    "FILE",
    "ROLES",
    "SOURCES",
    "Alias",
    "Ancestry",
    "Change",
    "Comparison",
    "Descent",
    "Diff",
    "Imported",
    "Member",
    "Release",
    "ReleaseFile",
    "Row",
    "Source",
    "Switch",
    "Version",
    "aliases",
    "ancestry",
    "changelog",
    "check_role",
    "check_version",
    "compare",
    "content_digest",
    "current",
    "describe",
    "diff",
    "figures_words",
    "find",
    "from_document",
    "history",
    "import_file",
    "machine_words",
    "make",
    "measured_since",
    "measurements",
    "model",
    "next_version",
    "previous",
    "read_file",
    "remove_alias",
    "set_alias",
    "switch",
    "switches",
    "to_document",
    "write_file",
]
