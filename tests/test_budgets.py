"""What start-up must not load. The times themselves are printed by benchmarks/startup.py."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "torch",
    "transformers",
    "pandas",
    "plotly",
    "numpy",
    "ipywidgets",
    "sqlalchemy",
    "xllamacpp",
    "gguf",
    "jupyterlab",
    "voila",
    "uvicorn",
    "starlette",
}


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running `code`."""
    report = "import json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_workbench_is_light() -> None:
    assert not loaded_after("import workbench") & (HEAVY | {"httpx", "click", "rich"})


def test_help_is_light() -> None:
    code = (
        "import sys; sys.argv = ['workbench', '--help']\n"
        "from workbench.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code"
    )
    assert not loaded_after(code) & (HEAVY | {"httpx"})


@pytest.mark.parametrize("room", ["engines", "jobs", "starter", "protocol", "hardware"])
def test_rooms_load_no_heavy_library(room: str) -> None:
    needed = {"jobs": {"sqlalchemy"}, "starter": {"sqlalchemy", "numpy"}}.get(room, set())
    heavy = HEAVY - needed
    assert not loaded_after(f"import workbench.{room}") & heavy


def test_public_names_resolve() -> None:
    import workbench

    for name in workbench.__all__:
        assert getattr(workbench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        workbench.conect  # noqa: B018
