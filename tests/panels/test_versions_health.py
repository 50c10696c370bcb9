"""The Health view's rules without a browser: real files, a byte turned, a real repair."""

from __future__ import annotations

import ast
import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from integrity.integrity_tools import flip, install

from workbench.doctor import Check
from workbench.jobs import Job
from workbench.library import Library
from workbench.panels._html import render
from workbench.panels.states import EngineState, VersionsState
from workbench.panels.states._versions_health import HealthState
from workbench.settings import home, models_folder

NOBODY = "http://127.0.0.1:9"  # where no engine answers


@pytest.fixture
def blobs() -> dict[str, Path]:
    """The blobs of `mine`, beside which there is `other`."""
    library = Library(models_folder())
    install(library, "other", b"o" * 4000)
    found: dict[str, Path] = install(library, "mine", b"GGUF" + b"m" * 200_000)
    return found


@pytest.fixture
async def own(blobs: dict[str, Path]) -> HealthState:
    state = VersionsState(engine=EngineState(url=NOBODY), view="health")
    assert isinstance(state.health, HealthState)
    await state.health.look()
    return state.health


def drawn(own: HealthState) -> str:
    return render("versions_health", state=own.source)


async def test_checks_are_made_once_and_models_are_listed(own: HealthState) -> None:
    assert {"home", "engine", "disk"} <= {one.name for one in own.checks}
    assert own.sound == {"mine:latest": None, "other:latest": None}
    assert "never read to its end" in drawn(own)
    before = own.checks
    await own.look()
    assert own.checks is before, "nothing had changed"
    own.source.view = "storage"
    assert not drawn(own).strip(), "another view"


async def test_whole_files_are_read_and_then_known(own: HealthState) -> None:
    await own.verify()
    assert own.report.ok and own.report.read > 200_000 and not own.reading
    assert all(own.sound.values()) and "All whole" in drawn(own)
    await own.verify()
    assert own.report.trusted and not own.report.read, "known from a moment ago"
    own.flip()
    own.choose("mine:latest")
    await own.verify()
    assert own.report.models == ("mine:latest",) and own.report.read > 200_000
    assert "names=['mine:latest'], resume=False" in own.code
    ast.parse(own.code)


async def test_a_turned_byte_is_named_and_mended_from_a_training(
    own: HealthState, blobs: dict[str, Path]
) -> None:
    spare = home() / "trainings" / "one" / "gguf" / "Q8_0.gguf"
    spare.parent.mkdir(parents=True)
    spare.write_bytes(blobs["model"].read_bytes())
    flip(blobs["model"], 9000)
    await own.verify()
    (fault,) = own.faults
    assert fault.kind == "flipped" and fault.affects == ("mine:latest",)
    assert "1 fault" in drawn(own) and "flipped" in drawn(own)
    await own.mend("flipped nothing")
    assert not own.mended
    await own.mend(own.key(fault))
    outcome = own.outcome(fault)
    assert outcome is not None and outcome.done, outcome
    assert blobs["model"].read_bytes() == spare.read_bytes()
    assert not own.mendable and "mended" in drawn(own)
    await own.verify()
    assert own.report.ok and not own.mended


async def test_what_cannot_be_mended_says_why(own: HealthState, blobs: dict[str, Path]) -> None:
    (blobs["config"].parents[1] / "manifests" / "stray").write_text("?")
    flip(blobs["config"])
    await own.verify()
    assert [one.kind for one in own.mendable] == ["flipped"]
    await own.mend_all()
    (fault,) = (one for one in own.faults if one.harmful)
    outcome = own.outcome(fault)
    assert outcome is not None and not outcome.done and outcome.words in drawn(own)
    assert "1 thing left over" in drawn(own)
    assert not own.mending and own.step is None


async def test_reading_can_be_stopped(own: HealthState, blobs: dict[str, Path]) -> None:
    library = Library(models_folder())
    install(library, "large", b"GGUF" + bytes(80 << 20))
    own.flip()
    task = asyncio.ensure_future(own.verify())
    while not own.reading:
        await asyncio.sleep(0)
    assert "Stop" in drawn(own)
    own.stop()
    assert own.stopping and "Stopping" in drawn(own)
    await task
    assert own.stopped and own.report is None and not own.reading
    assert "goes on where this one was" in drawn(own)


async def test_fixes_are_offered_where_nothing_is_lost(own: HealthState) -> None:
    own.checks = (
        Check("home", False, "Open.", "Close it.", "chmod", "close home", str(home()), safe=True),
        Check("release", False, "Gone.", "Get it.", None, "sync release", "v1"),
        Check("engine", True, "It runs.", None, None, "start engine", safe=True),
    )
    assert [own.repair_of(one) for one in own.checks] == ["close home", "", ""]
    assert drawn(own).count("See Models") == 1, "where models are brought with their progress"
    home().chmod(0o755)
    await own.repair("release", "sync release", "v1")
    await own.repair("home", "close home", "/")
    assert own.fixed is None, "that was not offered"
    await own.repair("home", "close home", str(home()))
    assert own.fixed is not None and own.fixed.done and home().stat().st_mode & 0o777 == 0o700
    assert own.fixed.words in drawn(own) and own.fixing is None


async def test_a_fix_that_takes_long_is_a_job_with_its_progress(own: HealthState) -> None:
    now = datetime.now(UTC)
    job = Job("x1", "Embed notes anew", "doctor", "a:b", {}, "running", 0.25, "", {}, now, now,
              None, 90.0, None, None, 1, home() / "jobs" / "x1")  # fmt: skip
    own.jobs.jobs = (job, replace(job, id="x2", kind="bench", title="Another"))
    text = drawn(own)
    assert "Embed notes anew" in text and 'aria-valuenow="25"' in text and "Cancel" in text
    assert "1 min 30 s left" in text
    assert "Another" not in text
