"""What an export has done so far, in its training's record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.export._deploy import Deployed
from workbench.export._files import WHOLE, folder_digest, sha256
from workbench.lineage import Training, note


class Record:
    """`known` is the training's `export`, as far as it is about the model in `source`.

        source    the hash of the model's folder
        files     by kind: sha256, bytes, path
        parity    the report, and the hashes of the files that it is about
        deployed  the kind that is in the engine

    `intact` are the hashes of the files that are still as they were noted.
    """

    def __init__(self, training: Training, source: Path) -> None:
        self.training, self.source = training, source
        self.out = training.folder / "gguf"
        before = dict(training.export or {})
        digest = folder_digest(source)
        self.known: dict[str, Any] = before if before.get("source") == digest else {}
        self.known = {"source": digest, "files": {}, **self.known}
        self.intact: dict[str, str] = {}
        for kind, entry in self.known["files"].items():
            path = Path(entry["path"])
            if path.is_file() and sha256(path) == entry["sha256"]:
                self.intact[kind] = entry["sha256"]

    def note(self, **values: Any) -> None:
        """Keep it, now."""
        self.known |= values
        self.training = note(self.training, export=self.known)

    def deployed(self, kind: str, made: Deployed) -> None:
        """The file of this kind is in the engine."""
        self.known |= {"deployed": kind}
        values = {"export": self.known, "digest": made.digest, "name": made.name}
        self.training = note(self.training, **values)

    def add(self, kind: str, path: Path) -> None:
        """A file that is whole."""
        self.intact[kind] = sha256(path)
        entry = {"sha256": self.intact[kind], "bytes": path.stat().st_size, "path": str(path)}
        self.note(files={**self.known["files"], kind: entry})

    def drop(self, kind: str) -> None:
        """A file that is not there any more."""
        self.intact.pop(kind, None)
        self.note(files={k: v for k, v in self.known["files"].items() if k != kind})

    def path(self, kind: str) -> Path:
        """Where the file of a kind is."""
        return Path(self.known["files"][kind]["path"])

    def passed(self, hashes: Mapping[str, str]) -> bool:
        """Whether these very files were compared and each was like the model."""
        report = self.known.get("parity") or {}
        failed = {row["kind"] for row in report.get("rows") or () if not row["ok"]}
        compared = dict(report.get("files") or {})
        return not failed & {*hashes, *WHOLE} and hashes.items() <= compared.items()
