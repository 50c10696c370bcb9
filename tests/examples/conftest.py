"""One embedded engine for all the tests of this room."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.engines import Engine

GO_CHATML = (
    "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n"
)
GO_TURNS = (
    "{{ if .System }}<<{{ .System }}>>{{ end }}[INST] {{ .Prompt }} [/INST] {{ .Response }}</s>"
)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path) -> Iterator[Engine]:
    """An embedded engine with one tiny model under its Jinja template and two Go ones."""
    home = tmp_path_factory.mktemp("engine")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WORKBENCH_", "OLLAMA_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.embedded", "--home", str(home), "--port", "0"],
        env=kept, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        with Engine(process.stdout.readline().strip()) as connected:
            list(connected.create("tiny", files=tiny_gguf))
            list(connected.create("go", from_="tiny", template=GO_CHATML, system="Be kind."))
            list(connected.create("turns", from_="tiny", template=GO_TURNS))
            yield connected
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
