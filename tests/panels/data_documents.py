"""Real documents and a real repository for the tests of the Data panel."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from pydoc_data.topics import topics

HOSTILE = '<script>window.broken=1</script><img src=x onerror="window.broken=2">'
SECRET = "AKIA4XQZ7PLMN3WERTYU"
TOPICS = ("for", "while", "with", "class", "lambda", "import", "raise", "try", "yield", "assert")


def write_docs(folder: Path) -> Path:
    """Parts of Python's documentation, as Python brings them for `help`; with a double, a near
    double, a secret, a document that is too short and one that is no text."""
    folder.mkdir()
    for topic in TOPICS:
        (folder / f"{topic}.rst").write_text(topics[topic], "utf-8")
    (folder / "z-copy.rst").write_text(topics["with"], "utf-8")
    (folder / "z-near.rst").write_text(topics["try"] + "\nAnd one more line of it.\n", "utf-8")
    secret = f"{HOSTILE}\n\naws_key = {SECRET}\n\nMail ada@lovelace-mail.org about it.\n"
    (folder / "keys.txt").write_text(secret + topics["global"] + topics["nonlocal"], "utf-8")
    (folder / "short.txt").write_text("Too short.")
    (folder / "noise.bin").write_bytes(bytes(range(256)) * 8)
    return folder


def write_repository(folder: Path) -> Path:
    """A real Git repository with the standard library's json."""
    folder.mkdir()
    for path in Path(json.__file__).parent.glob("*.py"):
        (folder / path.name).write_text(path.read_text("utf-8"), "utf-8")
    for command in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "first")):
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        subprocess.run(["git", *who, *command], cwd=folder, check=True, capture_output=True)
    return folder
