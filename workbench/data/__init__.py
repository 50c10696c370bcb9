"""Datasets one can trust: named by their hash, with the recipe that makes them again.

job = submit_make("clean", "docs", collections=["docs"])   # or code, import, split
dataset = find("docs")                                     # or "docs@1a2b3c4d"
validate(dataset).verdict                                  # ok, warnings or refused
for example in examples(dataset, "train"): ...
"""

from workbench.data._diff import Difference, diff
from workbench.data._import import import_arguments, import_file
from workbench.data._keep import (
    Draft,
    checked_name,
    datasets,
    examples,
    find,
    history,
    remove,
    verify,
    writing,
)
from workbench.data._make import (
    make_code,
    make_corpus,
    remake,
    run_make,
    submit_make,
)
from workbench.data._model import Reader, reader
from workbench.data._quality import PARTS, RULES, Part
from workbench.data._records import Dataset
from workbench.data._split import split
from workbench.data._statistics import Statistics, statistics
from workbench.data._validate import Validation, validate

__all__ = [
    "PARTS",
    "RULES",
    "Dataset",
    "Difference",
    "Draft",
    "Part",
    "Reader",
    "Statistics",
    "Validation",
    "checked_name",
    "datasets",
    "diff",
    "examples",
    "find",
    "history",
    "import_arguments",
    "import_file",
    "make_code",
    "make_corpus",
    "reader",
    "remake",
    "remove",
    "run_make",
    "split",
    "statistics",
    "submit_make",
    "validate",
    "verify",
    "writing",
]
