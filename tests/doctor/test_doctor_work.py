"""The database and jobs that were interrupted."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from doctor_tools import examine, mend, verdict

from workbench import jobs, settings


def test_a_damaged_database() -> None:
    jobs.jobs()  # makes it
    file = settings.home() / "workbench.db"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(file.read_bytes())
    content[4096 : 4 * 4096] = os.urandom(3 * 4096)
    file.write_bytes(content)
    assert verdict(examine(), "store") is False


def test_interrupted_jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "doctor_target.py").write_text(
        "import os\ndef die(job): job.attempt > 1 or os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    job = jobs.submit("doctor_target:die", title="Short life")
    assert jobs.wait(job.id, 60).state == "interrupted"
    (item,) = examine()["jobs"]
    assert item.ok is None and "Short life" in item.message
    assert item.command == f"workbench jobs resume {job.id}"
    assert mend(item).done and jobs.wait(job.id, 60).state == "done"
    again = mend(item)
    assert not again.done and "done" in again.words
    jobs.stop_supervisor()
