"""Home's rules: the engine, deleting, checks and jobs, against the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from workbench import jobs
from workbench.doctor import Check
from workbench.engines import engine_status
from workbench.errors import InvalidRequest
from workbench.panels._html import render
from workbench.panels.states import EngineState, HomeState, JobsState, PlaygroundState
from workbench.types import Model


@pytest.fixture
async def home(at_home: Path) -> AsyncIterator[HomeState]:
    state = HomeState()
    yield state
    await state.engine.drop()


@pytest.fixture
def quiet_jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Jobs of this test's own home, ended with it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "browser"))
    monkeypatch.setenv("WORKBENCH_CANCEL_SECONDS", "1")
    yield
    for job in jobs.jobs():
        if not job.ended:
            jobs.cancel(job.id)
            jobs.wait(job.id, timeout=20)
    jobs.stop_supervisor()


async def test_a_refresh_brings_everything(home: HomeState) -> None:
    assert home.engine.health[0] == "busy"
    await home.refresh()
    assert home.engine.engine and home.engine.engine.kind == "embedded"
    assert [model.name for model in home.engine.models] == ["tiny:latest"]
    assert home.machine.memory_total > home.machine.memory_available > 0
    assert home.disk_free > 0
    assert {check.name for check in home.checks} >= {"home", "engine"}
    assert home.engine.health[0] == "good"
    before = home.checks
    await home.refresh()
    assert home.checks is before, "checked without a reason"
    await (await home.engine.connect()).copy("tiny", "another")
    await home.refresh()
    assert home.checks is not before
    await (await home.engine.connect()).delete("another")


async def test_polling_never_starts_what_was_stopped(home: HomeState) -> None:
    await home.engine.refresh()
    await home.engine.stop()
    assert home.engine.engine is None and home.engine.health == ("bad", "Engine stopped")
    await home.engine.refresh()
    await home.engine.refresh()
    assert await asyncio.to_thread(engine_status) is None
    await home.engine.start()
    assert home.engine.engine is not None
    assert [model.name for model in home.engine.models] == ["tiny:latest"]


async def test_only_what_was_asked_about_is_deleted(home: HomeState) -> None:
    engine = await home.engine.connect()
    await engine.copy("tiny", "spare")
    await home.engine.refresh()
    await home.engine.delete("spare:latest")
    home.engine.put("deleting", "tiny:latest")
    await home.engine.delete("spare:latest")
    assert len(home.engine.models) == 2
    home.engine.put("deleting", "spare:latest")
    await home.engine.delete("spare:latest")
    assert [model.name for model in home.engine.models] == ["tiny:latest"]
    assert home.engine.deleting == ""


async def test_a_loaded_model_is_seen_and_unloaded(home: HomeState) -> None:
    engine = await home.engine.connect()
    await engine.load("tiny")
    await home.engine.refresh()
    running = home.engine.running("tiny:latest")
    assert running and running.size > 0
    await home.engine.unload("tiny:latest")
    assert home.engine.running("tiny:latest") is None


def test_repairs_are_offered_only_for_faults_that_we_can_mend() -> None:
    state = HomeState()
    broken = Check("engine", False, "It is off.", "Start it.", action="start engine", safe=True)
    note = Check("embedding model", None, "None.", "Make one.", action="build embedding model")
    assert [state.repair_of(one) for one in (broken, note)] == [broken.action, note.action]
    for check in (
        Check("engine", True, "It runs.", action="start engine", safe=True),
        Check("settings", False, "Misspelt.", "Mend it.", "unset WORKBENCH_HOM"),
        Check("release", False, "Gone.", "Bring it.", action="sync release", about="v1"),
    ):
        assert state.repair_of(check) == ""
    state.checks = (broken, note, Check("home", True, "Fine."))
    drawn = render("checks", state=state)
    assert drawn.count('data-action="repair"') == 2 and 'data-deed="start engine"' in drawn
    assert "1 to look at" in drawn and "1 in order" in drawn


async def test_a_fault_is_mended_once_and_looked_at_again(home: HomeState, at_home: Path) -> None:
    await home.refresh()
    at_home.chmod(0o755)
    await home.run_checks()
    (fault,) = (check for check in home.checks if check.name == "home")
    await home.repair("home", "stop engine", fault.about)
    assert at_home.stat().st_mode & 0o777 == 0o755, "that was not offered"
    await home.repair(fault.name, fault.action, fault.about)
    assert home.fixed.done and at_home.stat().st_mode & 0o777 == 0o700
    assert next(check for check in home.checks if check.name == "home").ok
    assert home.fixing is None and home.fixed.words in render("checks", state=home)


async def test_the_engine_is_started_by_its_finding(home: HomeState) -> None:
    await home.refresh()
    await home.engine.stop()
    await home.run_checks()
    found = next(check for check in home.checks if check.action == "start engine")
    await home.repair(found.name, found.action, found.about)
    assert home.fixed.done and home.engine.engine is not None
    assert [model.name for model in home.engine.models] == ["tiny:latest"]


async def test_a_job_is_followed_from_start_to_resume(quiet_jobs: None) -> None:
    state = JobsState()
    job = jobs.submit("slow_target:climb", {}, title="Climb", kind="prepare")
    async with asyncio.timeout(40):
        while not len(state.curves.get(job.id, ())) > 3:
            await state.refresh()
            await asyncio.sleep(0.1)
    assert state.preparing and state.preparing.id == job.id
    curve = state.curves[job.id]
    assert list(curve) == sorted(curve, reverse=True), "read twice, or out of order"
    await state.open_log(job.id)
    assert "step" in state.log
    await state.cancel(job.id)
    async with asyncio.timeout(40):
        while state.preparing:
            await state.refresh()
            await asyncio.sleep(0.1)
    assert state.jobs[0].state == "cancelled"
    await state.resume(job.id)
    assert state.preparing and state.preparing.id == job.id


async def test_the_starter_is_not_built_twice_at_once(quiet_jobs: None) -> None:
    state = JobsState()
    jobs.submit("slow_target:climb", {}, title="Climb", kind="prepare")
    await state.build_starter()
    assert [job.title for job in state.jobs] == ["Climb"]


def test_pages_may_set_only_what_is_meant_to_be_set() -> None:
    state = PlaygroundState()
    state.put("system", "Be brief.")
    assert state.system == "Be brief."
    for trait in ("model", "single", "engine", "__class__"):
        with pytest.raises(AttributeError, match=trait):
            state.put(trait, "x")


def test_unknown_keywords_fail_with_advice() -> None:
    with pytest.raises(TypeError, match="Did you mean 'system'"):
        PlaygroundState(sytem="x")
    with pytest.raises(TypeError, match="no keyword 'colour'"):
        EngineState(colour="red")


def test_embedding_models_are_not_offered_for_text() -> None:
    state = EngineState()
    state.models = (
        Model("embedder:latest", capabilities=("embedding",)),
        Model("writer:latest", capabilities=("completion", "tools")),
        Model("silent:latest"),
    )
    assert [model.name for model in state.writers] == ["writer:latest", "silent:latest"]
    playground = PlaygroundState(engine=state, model="silent")
    assert playground.model == "silent:latest"
    with pytest.raises(InvalidRequest):
        playground.options.set_text("seed", "x")
        playground.options.request()
