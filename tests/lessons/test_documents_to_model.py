"""The lesson's notebook, run from its first cell to its last with little to learn."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from workbench.engines import connect, stop_engine
from workbench.jobs import stop_supervisor
from workbench.lineage import find

LESSON = Path(__file__).parents[2] / "notebooks" / "lessons" / "documents_to_model.ipynb"


def test_the_whole_road(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_ENGINE", "embedded")
    notebook = nbformat.read(LESSON, as_version=4)
    parameters = next(
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())
    )
    source = parameters.source.replace("minutes = 3.0", "minutes = 0.05").replace("60", "4")
    parameters.source = source.replace("../../workbench", "../../workbench/statistics")
    try:
        client = NotebookClient(
            notebook, timeout=300, resources={"metadata": {"path": LESSON.parent}}
        )
        client.execute()
        run = find("lesson")
        with connect() as engine:
            assert run.digest in {model.digest for model in engine.models()}
    finally:
        stop_supervisor()
        stop_engine()
    assert run.base == "lesson-base:latest"
    assert run.card is not None
    last = str(notebook.cells[-1].outputs)
    assert re.search("documents: lesson", last)
    assert re.search("model: lesson", last)
