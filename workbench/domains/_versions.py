"""The Modelfiles that a model was built of, each kept by its hash.

    <home>/modelfiles/<host>/<namespace>/<model>/<tag>/<time>-<sha256>.Modelfile

A text that is the newest already is not kept twice. A file that is not what its name says was
changed and is left out.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workbench.domains._files import read_text, write_text
from workbench.errors import ModelfileError
from workbench.protocol import ModelName
from workbench.settings import home

_FILE = re.compile(r"(\d{8}T\d{6}\.\d{6})Z-([0-9a-f]{64})\.Modelfile")
_TIME = "%Y%m%dT%H%M%S.%f"
BUILT_ON = "# built on:"
_BASE = re.compile(rf"^{BUILT_ON} (\S{{1,400}}) ([0-9a-f]{{64}})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Version:
    """A text that a model was built of. `base` and `base_digest` are what it was built on."""

    model: str
    digest: str  # SHA-256 of the text
    at: datetime
    text: str
    base: str = ""
    base_digest: str = ""


def versions_of(model: str) -> list[Version]:
    """The versions of a model's Modelfile, the newest first. Raises InvalidRequest."""
    name = ModelName.parse(model)
    found = []
    for path in sorted(_folder(name).glob("*.Modelfile"), reverse=True):
        match = _FILE.fullmatch(path.name)
        if match is None or path.is_symlink():
            continue
        try:
            text = read_text(path)
        except ModelfileError:
            continue
        if _sha(text) == match[2]:
            base = _BASE.search(text)
            built_on = (base[1], base[2]) if base else ("", "")
            at = datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)
            found.append(Version(name.display(), match[2], at, text, *built_on))
    return found


def keep(model: str, text: str) -> None:
    """Keep a text as the newest version. Raises ModelfileError when the disk refuses."""
    known = versions_of(model)
    if known and known[0].text == text:
        return
    name = f"{datetime.now(UTC).strftime(_TIME)}Z-{_sha(text)}.Modelfile"
    write_text(_folder(ModelName.parse(model)) / name, text)


def _folder(name: ModelName) -> Path:
    return home() / "modelfiles" / name.key()


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
