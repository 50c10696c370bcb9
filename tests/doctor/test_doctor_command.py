"""`workbench doctor --fix`: what is safe is done, then everything is looked at again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from workbench import settings
from workbench.engines import stop_engine

COMMAND = str(Path(sys.executable).with_name("workbench"))


def doctor(*options: str) -> tuple[int, str]:
    done = subprocess.run([COMMAND, "doctor", *options], capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout


def names(document: dict[str, Any], ok: bool | None) -> set[str]:
    return {item["name"] for item in document["checks"] if item["ok"] is ok}


def test_what_is_safe_is_done() -> None:
    settings.home().chmod(0o755)
    code, text = doctor("--json")
    assert code == 1 and {"home", "engine"} <= names(json.loads(text), False)
    try:
        code, text = doctor("--fix", "--json")
        document = json.loads(text)
        assert {row["action"] for row in document["fixed"]} == {"close home", "start engine"}
        assert all(row["done"] for row in document["fixed"])
        assert {"home", "engine"} <= names(document, True)
        assert code == 1 and names(document, False) == {"models"}, "training takes a person's word"
        assert settings.home().stat().st_mode & 0o777 == 0o700
    finally:
        stop_engine()


def test_what_was_done_is_said_first() -> None:
    settings.home().chmod(0o755)
    try:
        code, text = doctor("--fix")
    finally:
        stop_engine()
    lines = text.splitlines()
    assert lines[0].startswith("done  home is closed") and lines[1].startswith("done  The engine")
    assert code == 1 and any(line.startswith("FAIL  models") for line in lines)
