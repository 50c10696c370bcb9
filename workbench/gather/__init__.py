"""Documents to learn from: files, web pages, Git repositories, transcripts.

    job = submit_gather("docs", "files", "~/python-docs")    # or "web", "git", "transcript"
    for document in documents("docs"): ...

Documents lie in collections, folders of the home that say of every text where it came from, when,
under which licence, and of everything that was not taken, why.
"""

from workbench.documents import Ask, Document, Kind, Skipped, Source
from workbench.gather._keep import (
    collection,
    collections,
    documents,
    find_collection,
    problems,
    remove_collection,
    remove_source,
    skipped,
)
from workbench.gather._records import Collection, Gathered
from workbench.gather._run import SOURCES, gather, run_gather, submit_gather

__all__ = [
    "SOURCES",
    "Ask",
    "Collection",
    "Document",
    "Gathered",
    "Kind",
    "Skipped",
    "Source",
    "collection",
    "collections",
    "documents",
    "find_collection",
    "gather",
    "problems",
    "remove_collection",
    "remove_source",
    "run_gather",
    "skipped",
    "submit_gather",
]
