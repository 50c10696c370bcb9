"""A file of examples as a dataset: what became of each row is in its report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.data._keep import checked_name, writing
from workbench.data._records import Dataset
from workbench.errors import DataError
from workbench.examples import Finding, Findings, Shape, form_of, read_rows, shape_of, to_example
from workbench.jobs import JobContext
from workbench.settings import home


def import_arguments(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    form: str | None = None,
    format: str = "auto",
) -> dict[str, Any]:
    """What a job is asked with: the whole path, and names that the file was seen to have. Raises
    DataError, so that a person hears of it before the job is queued."""
    whole = Path(path).expanduser().absolute()
    shape_of(whole, columns, form, format=format)
    return {"path": str(whole), "columns": columns, "form": form, "format": format}


def import_file(
    name: str,
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    form: str | None = None,
    format: str = "auto",
    context: JobContext | None = None,
) -> Dataset:
    """Make the dataset `name` of a file's rows. Raises DataError where none can be used, and
    where the file changes meanwhile."""
    context = context or JobContext("", home())
    checked_name(name)
    path = Path(path).expanduser().absolute()
    shape = shape_of(path, columns, form, format=format)
    digest = _sha256(path, context)
    recipe = {
        "kind": "import", "file": path.name, "path": str(path), "sha256": digest,
        "columns": dict(shape.columns), "form": shape.form, "format": shape.format,
    }  # fmt: skip
    with writing(name, form_of(shape), recipe=recipe) as draft:
        findings = Findings()
        rows = 0
        for row in read_rows(path, format=shape.format):
            if rows % 1000 == 0:
                context.check_cancelled()
                context.progress(None, f"{rows:,} rows of {path.name}", rows=rows)
            one = row if isinstance(row, Finding) else to_example(row, shape, path)
            if isinstance(one, Finding):
                findings.add(one)
                rows += one.code not in {"bytes", "guessed"}
            else:
                rows += 1
                draft.add(one)
        draft.report = _report(rows, sum(draft.splits.values()), findings, shape)
        if _sha256(path, context) != digest:
            raise DataError("The file was changed while it was read. Import it again.", str(path))
    return draft.made


def _report(rows: int, taken: int, findings: Findings, shape: Shape) -> dict[str, Any]:
    return {
        "rows": rows, "taken": taken, "style": shape.style, "columns": dict(shape.columns),
        "left": list(shape.left), "findings": [one.to_json() for one in findings],
    }  # fmt: skip


def _sha256(path: Path, context: JobContext) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            context.check_cancelled()
            digest.update(block)
    return digest.hexdigest()
