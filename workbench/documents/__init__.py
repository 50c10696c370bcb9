"""Documents: what one is, how a source is asked for them, and how a file's text becomes one.

    with Extractor(ask, total) as extractor:
        yield from extractor.documents(item)  # Document or Skipped

Files that can hang or eat a machine (PDF, DOCX, HTML) are read in a process of their own with
limits, which is started again when it dies.
"""

from workbench.documents._decode import Unreadable, decode
from workbench.documents._extract import MAX_BYTES, Extractor, Item
from workbench.documents._html import page_facts
from workbench.documents._kinds import left_out, wanted
from workbench.documents._licence import LICENCE_BYTES, is_licence, licence_of
from workbench.documents._options import chosen
from workbench.documents._reader import Reader
from workbench.documents._records import Ask, Document, Kind, Skipped, Source

__all__ = [
    "LICENCE_BYTES",
    "MAX_BYTES",
    "Ask",
    "Document",
    "Extractor",
    "Item",
    "Kind",
    "Reader",
    "Skipped",
    "Source",
    "Unreadable",
    "chosen",
    "decode",
    "is_licence",
    "left_out",
    "licence_of",
    "page_facts",
    "wanted",
]
