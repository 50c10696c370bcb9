"""The Versions panel's rules with a real engine: a release made, an update begun and undone."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from panels.versions_records import write_releases

from workbench.jobs import stop_supervisor
from workbench.panels._html import render
from workbench.panels.states import VersionsState


@pytest.fixture
async def alive(
    at_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[VersionsState]:
    """A panel on the engine that has `tiny:latest`, with a store of its own."""
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", f"sqlite:///{tmp_path / 'store.db'}")
    found = VersionsState()
    await found.refresh()
    yield found
    stop_supervisor()
    engine = await found.engine.connect()
    for model in await engine.models():
        if model.name != "tiny:latest":
            await engine.delete(model.name)
    await found.engine.drop()


def drawn(state: VersionsState, template: str) -> str:
    return render(template, state=state)


async def test_a_first_release_is_made_and_an_update_is_planned(alive: VersionsState) -> None:
    make = alive.timeline.make
    await alive.part.look()
    assert make.roles == {"primary": "tiny:latest"} and make.ready
    ast.parse(make.code)
    await make.write("others", "domain:health")
    assert "domain:health=MODEL" in make.problems["others"]
    await make.write("others", "domain:health=nowhere")
    assert "nowhere is not installed" in make.problems["others"] and not make.code
    await make.write("others", "domain:health=tiny")
    await make.start("purpose", "the first one")
    assert alive.used.version == "v0.1" and alive.used.purpose == "the first one"
    assert [one.role for one in alive.used.members] == ["primary", "domain:health"]
    assert "v0.1 is in use." in drawn(alive, "versions_releases")
    await make.write("version", "v0.1")
    assert "already" in make.problems["version"]
    await (await alive.engine.connect()).copy("tiny", "twin")
    await alive.refresh()
    await alive.show("update")
    form = alive.flow.new
    await form.write("to:primary", "…")
    await form.write("name:primary", "twin")
    assert not form.problems and form.ready, form.problems
    assert "instead of v0.1" in drawn(alive, "versions_update")
    ast.parse(form.code)
    await alive.show("models")
    family = alive.family
    assert [one.action for one in family.steps] == ["none"]
    assert "all here, as they were" in drawn(alive, "versions_models")
    await (await alive.engine.connect()).delete("tiny")
    await alive.refresh()
    assert [one.action for one in family.steps] == ["copy"]
    await family.bring()
    assert [one.outcome for one in family.brought] == ["done"] and not family.problem
    assert [one.action for one in family.steps] == ["none"] and family.bringing is None
    assert "tiny:latest" in {one.name for one in alive.engine.models}


async def test_an_update_is_stopped_goes_on_and_is_undone(alive: VersionsState) -> None:
    await alive.part.look()
    engine = await alive.engine.connect()
    async for _step in engine.create("candidate", from_="tiny", parameters={"top_k": 7}):
        pass
    await alive.timeline.make.start()
    before = alive.used.version
    await alive.refresh()
    await alive.show("update")
    form, flow = alive.flow.new, alive.flow
    await form.write("to:primary", "candidate:latest")
    await form.start("reason", "it is tried")
    assert not form.problem and flow.update.before == before and flow.live
    assert form.roles == {} and "Stop" in drawn(alive, "versions_update_steps")
    await flow.stop()
    assert flow.update.state == "stopped" and not flow.problem
    await flow.resume()
    assert not flow.problem and flow.update.state in ("waiting", "running")
    async with asyncio.timeout(60):
        while flow.live:
            await asyncio.sleep(0.2)
            await alive.refresh()
    assert flow.update.state == "done", flow.update.error
    assert flow.in_use and alive.used.role("primary").model == "candidate:latest"
    flow.wish()
    await flow.undo("it was tried")
    assert flow.update.state == "undone" and alive.used.version == before
    assert alive.switches[0].why == "it was tried" and not flow.undoing


async def test_what_is_missing_is_told_with_the_way_to_it(alive: VersionsState) -> None:
    write_releases()
    await alive.refresh()
    await alive.show("models")
    family = alive.family
    assert {one.action for one in family.steps} == {"by hand", "pull"}
    page = drawn(alive, "versions_models")
    assert "4 to look at" in page and "Bring them here" in page and "to pull" in page
    assert family.to_pull == 4_700_000_000 * 2 + 46_000_000
    assert "not here" in drawn(alive, "versions_models_family")
    alive.timeline.wish("v0.1")
    await alive.timeline.go_back("it was slow")
    assert "is not here with this digest" in alive.timeline.problem
