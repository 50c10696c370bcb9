"""The end of an update: the history of releases in a file, for Git, when one was named."""

from __future__ import annotations

import shlex
from pathlib import Path

from workbench import releases
from workbench.errors import ReleaseError
from workbench.versions._records import Outcome
from workbench.versions._work import Work


def record_step(work: Work) -> Outcome:
    """Write the file. What is in use stays in use when it cannot be written: that is told."""
    version, file = work.plan["version"], work.plan["file"]
    if not file:
        words = f"The history is in the store. Into a file: `workbench versions export` ({version})"
        return Outcome(f"{words}.", {"tag": version}, "skipped")
    try:
        written = releases.write_file(file)
    except ReleaseError as error:
        return Outcome(f"{version} is in use, and its file was not written: {error}", {}, "failed")
    commands = git_commands(written, version)
    evidence = {"file": str(written), "tag": version, "commands": commands}
    return Outcome(f"{written.name} holds {version}. To keep it in Git, commit and tag it.",
                   evidence)  # fmt: skip


def git_commands(file: Path, version: str) -> list[str]:
    """What keeps this state of the file in Git under the release's version."""
    return [
        shlex.join(["git", "add", str(file)]),
        shlex.join(["git", "commit", "-m", f"Models: {version}"]),
        shlex.join(["git", "tag", version]),
    ]
