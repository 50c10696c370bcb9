"""Homes with a supervisor that is ended, by its id, when the test is over."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from workbench import jobs


def end_everything() -> None:
    """End the supervisor and the workers of the current home."""
    pid = jobs.supervisor_pid()
    if pid is not None:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    from sqlalchemy import select

    from workbench.jobs import _process, _queue
    from workbench.store import StoredJob, session

    with session(read_only=True) as opened:
        rows = opened.scalars(select(StoredJob).where(StoredJob.state == "running")).all()
    for row in rows:
        process = _queue.process_of(row)
        if process is not None:
            _process.end_group(row.id, process, signal.SIGKILL)


@pytest.fixture(autouse=True)
def ended(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever the test leaves running is ended. Tests' own functions can be targets."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setenv("WORKBENCH_CANCEL_SECONDS", "1")
    yield
    end_everything()


@pytest.fixture(scope="module")
def module_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home for the module, so that its quiet tests share one supervisor."""
    home = tmp_path_factory.mktemp("shared-home")
    yield home
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        end_everything()


@pytest.fixture
def shared_home(module_home: Path, ended: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run in the module's home, three jobs at once; the supervisor stays for the next test."""
    own = os.environ["WORKBENCH_HOME"]
    monkeypatch.setenv("WORKBENCH_HOME", str(module_home))
    monkeypatch.setenv("WORKBENCH_MAX_JOBS", "3")
    yield module_home
    monkeypatch.setenv("WORKBENCH_HOME", own)
