"""One study, two homes that share a PostgreSQL: as two machines do."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from store.conftest import postgres, postgres_server  # noqa: F401 (fixtures)
from tuned import SPACE, begun
from words import write_suite

from workbench import jobs, store, tune
from workbench.errors import TuneError
from workbench.search import recorded
from workbench.space import key_of

PATIENCE = 300.0


@pytest.fixture
def homes(
    postgres: str,  # noqa: F811
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """Two; their supervisors end with the test."""
    found = str(tmp_path / "here"), str(tmp_path / "there")
    yield found
    for home in found:
        monkeypatch.setenv("WORKBENCH_HOME", home)
        if pid := jobs.supervisor_pid():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    store.engine().dispose()


def test_a_second_machine_joins(
    homes: tuple[str, str], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", url)
    monkeypatch.setenv("WORKBENCH_HOME", homes[0])
    study = begun(write_suite(tmp_path), space=SPACE, iterations=24, samples=20, held_out=20)
    with pytest.raises(TuneError, match="Start it"):
        tune.join(study)
    mine = tune.start(study)
    monkeypatch.setenv("WORKBENCH_HOME", homes[1])
    theirs = tune.join(study.id)
    assert [one.id for one in jobs.jobs()] == [theirs.id], "jobs are their home's"
    assert jobs.wait(theirs.id, PATIENCE).state == "done", jobs.log_text(theirs.id)
    monkeypatch.setenv("WORKBENCH_HOME", homes[0])
    assert jobs.wait(mine.id, PATIENCE).state == "done", jobs.log_text(mine.id)
    study = tune.find(study.id)
    assert study.state == "done" and set(study.jobs) == {mine.id, theirs.id}
    trials = [one for one in tune.trials(study) if one.state in ("done", "pruned")]
    assert 24 <= len(trials) <= 25
    assert len({key_of(one.point) for one in trials}) == len(trials), "none was tried twice"
    workers = {one.user_attrs["worker"].partition("/")[0] for one in recorded(study.id)}
    assert workers == {mine.id, theirs.id}
