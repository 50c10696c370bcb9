"""The last moments of an update: stopped at the switch, nothing to go back to, no file."""

from __future__ import annotations

from pathlib import Path

import pytest
from versions.updated import first_release, in_use, prepared, run, told_at

from workbench import releases, versions
from workbench.engines import Engine
from workbench.errors import ReleaseError
from workbench.jobs import JobCancelled


def test_stopped_at_the_switch(engine: Engine) -> None:
    first_release(engine)
    update = prepared({"primary": "two"})

    def stop() -> None:
        assert versions.stop(update).state == "stopped"

    with pytest.raises(JobCancelled):
        run(update, told_at("switch", stop))
    found = versions.find(update.id)
    assert (found.state, found.error) == ("stopped", "It was stopped. Nothing was changed.")
    assert in_use()["version"] == "v0.1" and len(releases.history()) == 1
    assert run(found).state == "done", "it goes on where it was"
    assert found.step("smoke") == versions.find(update.id).step("smoke")


def test_too_late_to_stop(engine: Engine) -> None:
    first_release(engine)
    update, said = prepared({"primary": "two"}), []

    def stop() -> None:
        with pytest.raises(ReleaseError, match="taken into use already"):
            versions.stop(update)
        said.append(versions.find(update.id).state)

    assert run(update, told_at("validate", stop)).state == "done" and said == ["running"]


def test_a_first_release_that_does_not_work(engine: Engine) -> None:
    engine.copy("two", "candidate")
    update = prepared({"primary": "candidate"})
    with pytest.raises(ReleaseError, match=r"no release before it, so v0\.1 stays in use"):
        run(update, told_at("validate", lambda: engine.delete("candidate")))
    assert versions.find().state == "failed" and in_use()["version"] == "v0.1"
    engine.copy("two", "candidate")
    assert run(update).state == "done", "mended, it can be looked at again"


def test_another_release_before_it_is_looked_at(engine: Engine) -> None:
    first_release(engine)
    update = prepared({"primary": "two"})
    done = run(update, told_at("validate", lambda: versions.rollback() and None))
    assert done.state == "undone" and done.step("validate").state == "skipped"
    assert in_use()["version"] == "v0.1"


def test_a_file_that_cannot_be_written(engine: Engine, tmp_path: Path) -> None:
    first_release(engine)
    file = tmp_path / "models.json"
    update = prepared({"primary": "two"}, file=file)
    done = run(update, told_at("record", lambda: file.write_text("no JSON") and None))
    assert done.state == "done" and in_use()["version"] == "v0.2"
    assert done.step("record").state == "failed" and "no JSON" in done.step("record").words
    assert file.read_text() == "no JSON", "nobody's file is overwritten"
